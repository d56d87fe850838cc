import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { renderFeaturesReference } from '../scripts/write-features-reference.ts';

it('docs/reference/features.md is what the language of features says', () => {
  const page = readFileSync(new URL('../docs/reference/features.md', import.meta.url), 'utf8');
  expect(page, 'run `npm run reference`').toBe(renderFeaturesReference());
});
