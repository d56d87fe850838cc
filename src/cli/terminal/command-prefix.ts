import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

type Environment = Record<string, string | undefined>;

/** What to type for this program: `tidemill` where the shell finds it, else `npx tidemill`, as in a clone. */
export function commandPrefix(env: Environment): string {
  const isNpx = env['npm_command'] === 'exec';
  const names = process.platform === 'win32' ? ['tidemill.cmd', 'tidemill.exe'] : ['tidemill'];
  const folders = (env['PATH'] ?? env['Path'] ?? '').split(delimiter).filter((folder) => folder !== '');
  const isFound = folders.some((folder) => names.some((name) => existsSync(join(folder, name))));
  return isFound && !isNpx ? 'tidemill' : 'npx tidemill';
}

/** A text whose commands, in backticks or at the end behind a colon, can be typed as they stand. */
export function withCommandPrefix(text: string, env: Environment): string {
  return text.replace(/(`|: +)tidemill (?=[a-z])/g, (_, before: string) => `${before}${commandPrefix(env)} `);
}
