import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { LoadedProject } from '../pipelines/index.ts';
import { addDataset } from './datasets.ts';
import { controlPlane } from './http/http-client.ts';
import { readProject } from './project/read-project.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { withExamples, withUrl } from './terminal/options.ts';

interface Applied {
  name: string;
  dataset: string;
  dataset_version?: number;
  changed: boolean;
}

async function checkFiles(loaded: LoadedProject): Promise<void> {
  const { checkBesideRows } = await import('../pipelines/index.ts');
  try {
    await checkBesideRows(loaded);
  } catch (error) {
    if ((error as Error).name === 'ConfigError') throw usageError((error as Error).message);
    throw error;
  }
}

export function configureApply(command: Command, act: Act): void {
  command
    .argument('[place]', 'a folder with a project file, or the file', '.')
    .option('--dry-run', 'only check the file, without a control plane')
    .action(
      act(async (terminal, place: string, options: { dryRun?: boolean; url?: string }) => {
        const loaded = await readProject(terminal.io, place);
        const { written, project, folder, path } = loaded;
        if (options.dryRun) {
          await checkFiles(loaded);
          const names = Object.keys(written.models);
          terminal.document({ path, models: names, applied: [] });
          terminal.line(`${terminal.colors.green('✓')} ${path} is right in its form: ${names.join(', ')}`);
          terminal.line('  columns, target and features are checked against the rows when it is applied');
          return;
        }
        const client = controlPlane(options, terminal.io.env);
        const applied: Applied[] = [];
        for (const [name, model] of Object.entries(written.models)) {
          const { path: file, format, text, ...data } = model.data;
          const sent: Applied = { name, dataset: data.dataset ?? name, changed: false };
          if (file !== undefined) {
            const { id, time } = data;
            const options = { format, id, time, text };
            const given = Object.fromEntries(
              Object.entries(options).filter(([, value]) => value !== undefined),
            );
            const version = await addDataset(terminal, client, name, resolve(folder, file), given);
            sent.dataset_version = version.version;
            sent.changed = version.created === true;
          }
          const answer = await client.request<{ changed: boolean }>(
            'PUT',
            `/api/v1/models/${encodeURIComponent(name)}/pipeline`,
            { body: { ...model, data: { ...data, dataset: sent.dataset } } },
          );
          sent.changed ||= answer.changed;
          applied.push(sent);
          const retrain = project.models[name]?.retrain;
          terminal.line(
            `${terminal.colors.green('✓')} ${name}: ${sent.changed ? 'applied' : 'nothing changed'}, rows of ${sent.dataset}${sent.dataset_version === undefined ? '' : `@${sent.dataset_version}`}${retrain?.schedule === undefined ? '' : `, retrained at ${retrain.schedule}`}`,
          );
        }
        terminal.document({ path, models: Object.keys(written.models), applied });
      }),
    );
  withUrl(command);
  withExamples(command, [
    ['tidemill apply', 'sends the project of this folder'],
    ['tidemill apply examples/flights --url http://127.0.0.1:7070', ''],
    ['tidemill apply --dry-run', 'says what is wrong with it'],
  ]);
}
