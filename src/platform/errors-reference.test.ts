import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { ERROR_STATUS } from './index.ts';

it('docs/reference/errors.md has the same codes and statuses as the code', () => {
  const text = readFileSync(new URL('../../docs/reference/errors.md', import.meta.url), 'utf8');
  const rows = [...text.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| \S/gm)].map((row) => [
    row[1],
    Number(row[2]),
  ]);
  expect(rows).toEqual(Object.entries(ERROR_STATUS));
});
