import { mkdir, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { projectFiles } from './project/project-template.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { commandPrefixIn } from './terminal/command-prefix.ts';
import { withExamples } from './terminal/options.ts';

export function configureInit(command: Command, act: Act): void {
  command.argument('[dir]', 'the folder; it is made when it is not there', '.').action(
    act(async (terminal, dir: string) => {
      const { io, colors } = terminal;
      const folder = resolve(io.cwd, dir);
      const near = relative(io.cwd, folder);
      const into = near.startsWith('..') ? folder : near;
      const program = commandPrefixIn(folder, io.env);
      const files = projectFiles({ command: program });
      const taken: string[] = [];
      for (const path of Object.keys(files)) {
        if (await exists(join(folder, path))) taken.push(path);
      }
      if (taken.length > 0) {
        throw usageError(
          `${folder} has ${taken.join(', ')} already, and nothing is written over: name an empty folder`,
        );
      }
      for (const [path, text] of Object.entries(files)) {
        await mkdir(dirname(join(folder, path)), { recursive: true });
        // Whoever makes the file in between keeps it.
        await writeFile(join(folder, path), text, { flag: 'wx' });
        terminal.line(`${colors.green('+')} ${join(into || '.', path)}`);
      }
      terminal.document({ folder, files: Object.keys(files) });
      terminal.line(`\nstart it with: ${into === '' ? '' : `cd ${into} && `}${program} up`);
    }),
  );
  withExamples(command, [
    ['tidemill init churn', 'writes a project with example data, a test and a README'],
    ['tidemill init', 'into this folder'],
  ]);
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
