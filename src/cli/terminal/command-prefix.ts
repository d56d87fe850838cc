import { existsSync, readFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

type Environment = Record<string, string | undefined>;

/** What to type for this program: `tidemill` where the shell finds it, else `npx tidemill`, as in a clone. */
export function commandPrefix(env: Environment): string {
  const isNpx = env['npm_command'] === 'exec';
  const names = process.platform === 'win32' ? ['tidemill.cmd', 'tidemill.exe'] : ['tidemill'];
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const isFound = folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
  return isFound && !isNpx ? 'tidemill' : 'npx tidemill';
}

/**
 * As `commandPrefix`, for a shell in another folder: where npx would look for a package that is not there, the program
 * is named by its path.
 */
export function commandPrefixIn(folder: string, env: Environment): string {
  const prefix = commandPrefix(env);
  if (prefix === 'tidemill' || isWithinReach(folder)) return prefix;
  const program = fileURLToPath(new URL('../../../bin/tidemill.js', import.meta.url));
  return `node ${/\s/.test(program) ? `"${program}"` : program}`;
}

/** Whether npx finds the package from a folder: installed there or above, or the folder is in a clone of it. */
function isWithinReach(folder: string): boolean {
  for (let at = folder; ; at = dirname(at)) {
    if (existsSync(join(at, 'node_modules', 'tidemill'))) return true;
    if (existsSync(join(at, 'package.json'))) {
      const { name } = JSON.parse(readFileSync(join(at, 'package.json'), 'utf8')) as { name?: string };
      return name === 'tidemill';
    }
    if (at === dirname(at)) return false;
  }
}

/** A text whose commands, in backticks or at the end behind a colon, can be typed as they stand. */
export function withCommandPrefix(text: string, env: Environment): string {
  return text.replace(/(`|: +)tidemill (?=[a-z])/g, (_, before: string) => `${before}${commandPrefix(env)} `);
}
