import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderSettingsReference } from '../scripts/write-settings-reference.ts';

it('docs/reference/settings.md is what the schemas of the settings say', async () => {
  const page = readFileSync(new URL('../docs/reference/settings.md', import.meta.url), 'utf8');
  expect(page, 'run `npm run reference`').toBe(await renderSettingsReference());
});
