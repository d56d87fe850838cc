import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { ingestFile } from './ingest-file.ts';

const folder = tempDir();

/** One column of each kind that a text can turn out to be, with what makes it so. */
const KINDS: Record<string, (row: number) => string> = {
  double: (row) => (row % 7 === 0 ? '' : String(row / 8)),
  long: (row) => String(row * 3 - 40),
  code: (row) => `0${row % 10}`,
  large: (row) => (row === 5 ? '123456789012345678901' : String(row)),
  text: (row) => `word ${row % 5}`,
  mostly: (row) => (row % 4 === 0 ? 'high' : String(row)),
  truth: (row) => (row % 3 === 0 ? 'true' : 'False'),
  date: (row) => `2026-01-${String((row % 28) + 1).padStart(2, '0')}`,
  foreign: (row) => `${(row % 28) + 1}.01.2026`,
  empty: () => '',
  missing: (row) => (row % 2 === 0 ? 'NA' : '?'),
  endless: (row) => (row === 3 ? 'inf' : String(row)),
};

function writeTable(name: string, copies: number, rows: number): string {
  const columns = Array.from({ length: copies }, (_, copy) =>
    Object.entries(KINDS).map(([kind, make]) => ({ name: `${kind}${copy}`, make })),
  ).flat();
  const lines = Array.from({ length: rows }, (_, row) => columns.map(({ make }) => make(row)).join(','));
  const path = join(folder, name);
  writeFileSync(path, `${columns.map((column) => column.name).join(',')}\n${lines.join('\n')}\n`);
  return path;
}

/** Enough for more columns than a table may have to be a narrow one. */
const COPIES = 4;

// More rows than a sample has, and fewer.
it.each([10_100, 60])('finds in a wide table of %i rows what it finds in a narrow one', async (rows) => {
  const [narrow, wide] = [
    await ingestFile({ path: writeTable('narrow.csv', 1, rows), outPath: join(folder, 'narrow.parquet') }),
    await ingestFile({ path: writeTable('wide.csv', COPIES, rows), outPath: join(folder, 'wide.parquet') }),
  ];
  const kinds = Object.keys(KINDS);
  expect(narrow.schema.map(({ type }) => type)).toEqual([
    'double',
    'long',
    'string',
    'string',
    'string',
    'string',
    'boolean',
    'datetime',
    'string',
    'string',
    'string',
    'double',
  ]);
  for (let copy = 0; copy < COPIES; copy++) {
    const from = copy * kinds.length;
    const renamed = <T extends { name: string }>(columns: T[]) =>
      columns
        .slice(from, from + kinds.length)
        .map((column, i) => ({ ...column, name: column.name.replace(/\d+$/, ''), i }));
    expect(renamed(wide.schema)).toEqual(renamedNarrow(narrow.schema));
    expect(renamed(wide.statistics.columns)).toEqual(renamedNarrow(narrow.statistics.columns));
  }
  expect(wide.notes.filter((note) => /\D0"/.test(note))).toEqual(narrow.notes);
});

const renamedNarrow = <T extends { name: string }>(columns: T[]) =>
  columns.map((column, i) => ({ ...column, name: column.name.replace(/\d+$/, ''), i }));
