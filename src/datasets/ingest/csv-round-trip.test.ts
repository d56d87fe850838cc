import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { fc } from '../../../tests/support/properties.ts';
import { readRows } from '../training-data/read-rows.ts';
import { ingestFile } from './ingest-file.ts';

const folder = tempDir();

/** Text that a CSV file can carry: no lone surrogates, which UTF-8 has no bytes for, and no NUL, which hides the format. */
const text = fc.string({ unit: 'grapheme', maxLength: 12 }).map((value) => value.replaceAll('\0', ''));
const awkward = fc.constantFrom(
  '"',
  '""',
  ',',
  ';',
  '\t',
  '|',
  '\n',
  '\r\n',
  ' ',
  ' "x" ',
  "'",
  '',
  'NA',
  '017',
  '__proto__',
);
const cell = fc.oneof({ weight: 3, arbitrary: text }, { weight: 2, arbitrary: awkward }, fc.constant(null));

const quoted = (value: string | null) => (value === null ? '' : `"${value.replaceAll('"', '""')}"`);

it('reads back every text that was written, in any form of the file', async () => {
  let files = 0;
  await fc.assert(
    fc.asyncProperty(
      fc.record({
        names: fc.uniqueArray(
          text.filter((name) => name.trim() !== '' && !Number.isFinite(Number(name))),
          { minLength: 2, maxLength: 5, selector: (name) => name.toLowerCase() },
        ),
        rows: fc.array(fc.array(cell, { minLength: 5, maxLength: 5 }), { minLength: 1, maxLength: 12 }),
        newline: fc.constantFrom('\n', '\r\n'),
        delimiter: fc.constantFrom(',', ';', '\t', '|'),
        mark: fc.constantFrom('', '\ufeff'),
        last: fc.boolean(),
      }),
      async ({ names, rows, newline, delimiter, mark, last }) => {
        const wanted = rows.map((row) => names.map((_, index) => row[index] ?? null));
        const lines = [names, ...wanted].map((values) => values.map(quoted).join(delimiter));
        const path = join(folder, `${files++}.csv`);
        writeFileSync(path, mark + lines.join(newline) + (last ? newline : ''));
        const table = await ingestFile({ path, outPath: `${path}.parquet`, text: names });
        const found: unknown[] = [];
        for await (const batch of readRows(table.path))
          found.push(...batch.map((row) => names.map((name) => row[name])));
        expect(found).toEqual(wanted);
        expect(table.schema.map(({ name }) => name)).toEqual(names);
      },
    ),
    { numRuns: 40, seed: 20_260_101 },
  );
});
