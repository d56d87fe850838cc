import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderCliReference } from '../scripts/write-cli-reference.ts';

it('docs/reference/cli.md is what the commands say of themselves', async () => {
  const page = readFileSync(new URL('../docs/reference/cli.md', import.meta.url), 'utf8');
  expect(page, 'run `npm run reference`').toBe(await renderCliReference());
});
