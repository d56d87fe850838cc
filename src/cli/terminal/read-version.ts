import { readFileSync } from 'node:fs';

/** The version of the package that this file belongs to; `src` and the release's `lib` lie equally deep. */
export function readVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
