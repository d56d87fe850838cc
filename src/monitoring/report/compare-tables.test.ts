import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { ingestFile, withDuckdb } from '../../datasets/index.ts';
import { createRandom } from '../../platform/index.ts';
import { compareTables } from './compare-tables.ts';
import { writeHtml } from './write-html.ts';

interface Made {
  rows: number;
  seed: number;
  firstDay: string;
  shift?: number;
  missing?: number;
  newCity?: number;
  /** Replaces a column of every row. */
  change?: (row: Record<string, unknown>) => void;
}

const folder = tempDir();

function writeCsv(name: string, made: Made): string {
  const random = createRandom(made.seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const start = Date.parse(made.firstDay);
  const rows = Array.from({ length: made.rows }, (_, i) => {
    const row: Record<string, unknown> = {
      day: new Date(start + Math.floor(i / 250) * 86_400_000).toISOString().slice(0, 10),
      amount: random() < (made.missing ?? 0) ? '' : (100 + 20 * (normal() + (made.shift ?? 0))).toFixed(3),
      hour: Math.floor(random() * 24),
      city: random() < (made.newCity ?? 0) ? '"New, <City>"' : `city ${Math.floor(random() ** 2 * 12)}`,
      late: random() < 0.3,
      id: `row ${i}`,
    };
    made.change?.(row);
    return row;
  });
  const names = Object.keys(rows[0]!);
  const path = join(folder, name);
  writeFileSync(path, `${names.join(',')}\n${rows.map((row) => Object.values(row).join(',')).join('\n')}\n`);
  return path;
}

const reference = writeCsv('january.csv', { rows: 10_000, seed: 1, firstDay: '2001-01-01' });

const compareWith = (made: Omit<Made, 'firstDay'>, time?: string) =>
  compareTables({
    referencePath: reference,
    currentPath: writeCsv(`current-${made.seed}.csv`, { firstDay: '2001-03-01', ...made }),
    ...(time === undefined ? {} : { time }),
  });

it('finds no drift, and no failed check, in rows of the same kind', async () => {
  const found = await compareWith({ rows: 3000, seed: 2 }, 'day');
  expect(found).toMatchObject({
    reference: { file: 'january.csv', rows: 10_000, columns: 6, windows: 40, windows_by: 'day' },
    current: { rows: 3000 },
    drift: { found: false, columns: [] },
    quality: { passed: true, failed: 0 },
  });
  const notTested = found.columns.filter(({ status }) => status === 'not tested');
  expect(notTested.map(({ name, note }) => [name, note])).toEqual([['day', 'its days are the windows']]);
  const hour = found.columns.find(({ name }) => name === 'hour')!;
  expect(hour.reference).toMatchObject({ rows: 10_000, missing: 0, min: 0, max: 23 });
  expect(found.columns.find(({ name }) => name === 'city')!.current).toMatchObject({ distinct: 12 });
});

it('names the columns that drifted and what moved, the strongest first', async () => {
  const found = await compareWith({ rows: 3000, seed: 3, shift: 0.5, newCity: 0.05 });
  expect(found.reference.windows_by).toBe('random chunk');
  expect(found.drift.columns.toSorted()).toEqual(['amount', 'city']);
  const [first, second] = found.columns;
  expect([first!.name, second!.name].toSorted()).toEqual(['amount', 'city']);
  const amount = found.columns.find(({ name }) => name === 'amount')!;
  expect(amount.words).toMatch(/^from 12\d\.\d+: (9\.\d|10|11) % -> 2\d %/);
  expect(amount.tests.map(({ aspect, drifted }) => [aspect, drifted])).toEqual([
    ['values', true],
    ['missing', false],
    ['unseen', false],
  ]);
  const failed = found.quality.checks.filter(({ passed }) => !passed);
  expect(failed.map(({ check, column }) => [check, column])).toEqual([
    ['range', 'amount'],
    ['new categories', 'city'],
  ]);
  expect(failed[1]!.detail).toMatch(/"New, <City>" \(\d+\)/);
});

it('says that a file without rows was not tested, and fails it', async () => {
  const empty = join(folder, 'empty.parquet');
  await withDuckdb({ read: [reference], write: [empty] }, (session) =>
    session.run(`COPY (SELECT * FROM read_csv('${reference}') LIMIT 0) TO '${empty}' (FORMAT parquet)`),
  );
  const found = await compareTables({ referencePath: reference, currentPath: empty });
  expect(found.drift).toMatchObject({ found: false, tests: 0 });
  expect(found.quality.checks[0]).toMatchObject({ check: 'rows', passed: false });
  expect(found.columns.filter(({ kind }) => kind === 'number').map(({ note }) => note)).toEqual([
    'the current file has no rows',
    'the current file has no rows',
  ]);
  expect(writeHtml(found)).toContain('the current file has no rows');
});

it('calls missing values drift and a failed check', async () => {
  const found = await compareWith({ rows: 3000, seed: 4, missing: 0.9 });
  expect(found.drift.columns).toEqual(['amount']);
  expect(found.columns[0]).toMatchObject({ words: expect.stringMatching(/^missing: 0 % -> (89|90|91) %$/) });
  expect(found.quality.checks.filter(({ passed }) => !passed)).toMatchObject([
    { check: 'missing values', column: 'amount' },
  ]);
});

it('tells columns that are gone, new, of another type, constant, out of range, and repeated rows', async () => {
  const found = await compareWith({
    rows: 3000,
    seed: 5,
    change(row) {
      row['late'] = 'perhaps';
      row['amount'] = Number(row['amount']) > 125 ? 1e6 : row['amount'];
      delete row['city'];
      row['extra'] = 1;
      row['hour'] = 7;
      row['id'] = 'row 7';
      row['day'] = '2001-03-01';
    },
  });
  const failed = found.quality.checks.filter(({ passed }) => !passed);
  expect(failed.map(({ check, column }) => `${check} ${column ?? ''}`).toSorted()).toEqual([
    'column is known extra',
    'column is there city',
    'duplicates ',
    'not constant day',
    'not constant hour',
    'not constant id',
    'not constant late',
    'range amount',
    'type late',
  ]);
  expect(found.columns.find(({ name }) => name === 'late')).toMatchObject({
    status: 'not tested',
    note: 'it is boolean in the reference and text now',
  });
});

it('reads Parquet as it reads CSV', async () => {
  const csv = writeCsv('april.csv', { rows: 2000, seed: 6, firstDay: '2001-04-01', shift: 1 });
  const [before, now] = [join(folder, 'january.parquet'), join(folder, 'april.parquet')];
  await ingestFile({ path: reference, outPath: before });
  await ingestFile({ path: csv, outPath: now });
  const a = await compareTables({ referencePath: reference, currentPath: csv, time: 'day' });
  const b = await compareTables({ referencePath: before, currentPath: now, time: 'day' });
  expect(b.drift).toEqual(a.drift);
  expect(b.columns[0]!.tests[0]!.psi).toBeCloseTo(a.columns[0]!.tests[0]!.psi, 2);
});

it('takes types from all rows of a wide CSV file whose first rows do not show them', async () => {
  const names = Array.from({ length: 200 }, (_, i) => `n${i}`);
  const lines = Array.from({ length: 22_000 }, (_, i) => `${i === 21_000 ? 'late' : i},${'1,'.repeat(198)}2`);
  const path = join(folder, 'wide.csv');
  writeFileSync(path, `${names.join(',')}\n${lines.join('\n')}\n`);
  const found = await compareTables({ referencePath: path, currentPath: path, ignore: names.slice(2) });
  expect(found.notes).toContain('types were taken from all rows, since the first ones do not show them');
  expect(Object.fromEntries(found.columns.map(({ name, kind }) => [name, kind]))).toEqual({
    n0: 'text',
    n1: 'number',
  });
  expect(found.reference.rows).toBe(22_000);
});

it('finds no value of a file outside its own range, nor outside it as float32', async () => {
  const lines = Array.from({ length: 300 }, (_, i) => `${0.1 + (i % 24) / 10},${1 + (i % 60) / 10},${i}`);
  const csv = join(folder, 'bounds.csv');
  writeFileSync(csv, `width,length,id\n${lines.join('\n')}\n`);
  const floats = join(folder, 'bounds.parquet');
  await withDuckdb({ read: [csv], write: [floats] }, (session) =>
    session.run(
      `COPY (SELECT width::FLOAT AS width, length::FLOAT AS length, id FROM read_csv('${csv}')) TO '${floats}' (FORMAT parquet)`,
    ),
  );
  for (const currentPath of [csv, floats]) {
    const { quality } = await compareTables({ referencePath: csv, currentPath });
    expect(quality.checks.filter(({ passed }) => !passed)).toEqual([]);
    const ranges = quality.checks.filter(({ check }) => check === 'range');
    expect(ranges.map(({ detail }) => detail)).toEqual([
      '0 rows (0 %) outside 0.1 to 2.4',
      '0 rows (0 %) outside 1 to 6.9',
      '0 rows (0 %) outside 0 to 299',
    ]);
  }
});

it('refuses what cannot be compared, naming it', async () => {
  await expect(
    compareTables({ referencePath: reference, currentPath: reference, time: 'dya' }),
  ).rejects.toMatchObject({ message: 'january.csv has no column dya; did you mean day?' });
  await expect(
    compareTables({ referencePath: reference, currentPath: reference, time: 'city' }),
  ).rejects.toMatchObject({ message: 'city holds no dates but text; columns of dates: day' });
  const broken = join(folder, 'broken.parquet');
  writeFileSync(broken, 'PAR1 is all there is');
  await expect(compareTables({ referencePath: broken, currentPath: reference })).rejects.toThrow(
    'broken.parquet cannot be read as Parquet',
  );
});

it('is written as one HTML file that loads nothing and shows text as text', async () => {
  const found = await compareWith({ rows: 3000, seed: 7, newCity: 0.3, shift: 1 });
  const html = writeHtml(found);
  // Cities are counted, the many ids estimated.
  expect(html).toContain('different values</th><td class="n">12</td><td class="n">13</td>');
  expect(html).toMatch(/different values<\/th><td class="n">about [^<]+<\/td><td class="n">about /);
  expect(html).toContain('▲ 2 columns have drifted');
  expect(html).toContain('New, &lt;City&gt;');
  expect(html).not.toContain('<City>');
  expect(html).not.toMatch(/<(script|link|img|iframe)|https?:|@import|url\(/);
  // Every measure that is shown is explained.
  for (const word of ['PSI', 'KS', 'p', 'Window', 'Drifted', 'Missing'])
    expect(html).toContain(`<dt>${word}</dt><dd>`);
  expect(html).toMatch(/<td>its values.* → /);
  // Every chart has its table, every table its headings.
  expect(html.match(/<figure>/g)!.length).toBe(html.match(/As a table/g)!.length);
  expect(html.match(/<table/g)!.length).toBe(html.match(/<thead>/g)!.length);
  const ids = [...html.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id);
  expect(new Set(ids).size).toBe(ids.length);
});
