import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { type IngestedTable, ingestFile } from '../ingest/ingest-file.ts';
import type { SplitSpec, Table, TrainingPlan } from '../table.ts';
import { exportHeldOut } from './export-held-out.ts';
import { exportLabelled } from './export-labelled.ts';
import { loadTable } from './load-table.ts';
import { planTraining } from './plan-training.ts';
import { readHeldOut, readRows } from './read-rows.ts';
import { planTarget } from './read-target.ts';

const folder = tempDir();
const ROWS = 5000;
const random: SplitSpec = { kind: 'random', testShare: 0.2, seed: 7 };
const stratified: SplitSpec = { kind: 'stratified', testShare: 0.2, seed: 7 };
const byTime: SplitSpec = { kind: 'time', testShare: 0.25, seed: 7, timeColumn: 'day' };

/** Row i has n = i, so that tests can tell which rows went where. */
const table = prepare();

async function prepare(): Promise<IngestedTable> {
  const path = join(folder, 'rows.csv');
  const words = ['red', 'green', 'blue', ''];
  const lines = Array.from({ length: ROWS }, (_, i) =>
    [
      i,
      i % 10 === 3 ? '' : i / 3,
      words[(i * i) % 4],
      i % 7 === 0,
      i % 50 === 0 ? '' : new Date(Date.UTC(2026, 0, 1) + (i % 100) * 86_400_000).toISOString(),
      i % 20 === 0 ? '' : ['a', 'b', 'c', 'c'][(i >> 2) % 4],
    ].join(','),
  );
  writeFileSync(path, ['n,x,word,flag,day,y', ...lines, ''].join('\n'));
  return ingestFile({ path, outPath: `${path}.parquet` });
}

async function planFor(target: string): Promise<TrainingPlan> {
  const { path, schema } = await table;
  return planTraining({ parquetPath: path, schema, target });
}

async function load(target: string, split: SplitSpec, threads?: number) {
  return loadTable({ parquetPath: (await table).path, plan: await planFor(target), split, threads });
}

function valuesOf(part: Table, name: string): number[] {
  const column = part.columns.find((each) => each.name === name)!;
  return [...(column.type === 'category' ? column.codes : column.values)];
}

it('says that a folder is none of the files it reads', async () => {
  const request = { path: folder, outPath: join(folder, 'never.parquet') };
  await expect(ingestFile(request)).rejects.toThrow(`${folder} is a folder; name one CSV`);
  await expect(readRows(folder).next()).rejects.toThrow(`${folder} is a folder; name one CSV`);
});

it('rounds moments before 1970 down to the millisecond, as a model server reads them', async () => {
  const path = join(folder, 'old.csv');
  const lines = Array.from({ length: 60 }, (_, i) => `1969-12-31T23:59:${10 + (i % 50)}.999999Z,${i % 2}`);
  writeFileSync(path, ['at,y', ...lines, ''].join('\n'));
  const old = await ingestFile({ path, outPath: `${path}.parquet` });
  const plan = await planTraining({
    parquetPath: old.path,
    schema: old.schema,
    target: 'y',
    task: 'classification',
  });
  const { train } = await loadTable({ parquetPath: old.path, plan, split: random });
  const expected = new Set(lines.map((line) => Date.parse(`${line.slice(0, 23)}Z`)));
  expect(valuesOf(train, 'at').filter((time) => !expected.has(time))).toEqual([]);
  for await (const [row] of readRows(old.path)) expect(row!['at']).toBe('1969-12-31T23:59:10.999Z');
});

it('divides rows at a moment', async () => {
  const testFrom = Date.UTC(2026, 2, 1);
  const { train, test } = await load('flag', { kind: 'time', testFrom, seed: 7, timeColumn: 'day' });
  const known = (part: Table) => [...part.times!].filter((time) => !Number.isNaN(time));
  expect(Math.max(...known(train))).toBe(testFrom - 86_400_000);
  expect(Math.min(...known(test))).toBe(testFrom);
  expect(known(test)).toHaveLength(test.rows);
  expect(train.rows + test.rows).toBe(ROWS);
  await expect(
    load('flag', { kind: 'time', testFrom: Date.UTC(2020, 0, 1), seed: 7, timeColumn: 'day' }),
  ).resolves.toMatchObject({ train: { rows: ROWS / 50 } });
  await expect(load('flag', { kind: 'time', testFrom, seed: 7, timeColumn: 'n' })).rejects.toThrow(
    'column "n" holds numbers, and a moment is asked for',
  );
});

describe('a table in memory', () => {
  it('tells text that is not among the categories from missing text', async () => {
    const path = join(folder, 'levels.csv');
    const kinds = ['a', 'a', 'a', 'b', 'b', 'c', ''];
    writeFileSync(path, ['kind,n', ...kinds.map((kind, i) => `${kind},${i + 0.5}`), ''].join('\n'));
    const { path: parquetPath, schema } = await ingestFile({ path, outPath: `${path}.parquet` });
    const plan = await planTraining({ parquetPath, schema, target: 'n', maxCategories: 2 });
    const { train, test } = await loadTable({ parquetPath, plan, split: random });
    const codes = new Map(
      [train, test].flatMap((part) => {
        const kind = valuesOf(part, 'kind');
        return [...part.target].map((n, i) => [n - 0.5, kind[i]!] as const);
      }),
    );
    expect(kinds.map((_, row) => codes.get(row))).toEqual([0, 0, 0, 1, 1, 2, -1]);
  });

  it('holds every row with a target once, with its values in their types', async () => {
    const { train, test } = await load('y', stratified);
    expect(train.rows + test.rows).toBe(ROWS - ROWS / 20);
    expect(train).toMatchObject({ targetName: 'y', task: 'multiclass', classes: ['a', 'b', 'c'] });
    const seen = new Set<number>();
    for (const part of [train, test]) {
      const word = part.columns.find(({ name }) => name === 'word');
      expect(word).toMatchObject({ type: 'category', categories: ['green', 'red'] });
      const [n, x, flag, codes, days] = ['n', 'x', 'flag', 'word', 'day'].map((name) =>
        valuesOf(part, name),
      ) as number[][];
      for (let row = 0; row < part.rows; row++) {
        const i = n![row]!;
        expect(seen.has(i)).toBe(false);
        seen.add(i);
        expect(x![row]).toEqual(i % 10 === 3 ? Number.NaN : Math.fround(i / 3));
        expect(flag![row]).toBe(i % 7 === 0 ? 1 : 0);
        expect(codes![row]).toBe(i % 2 === 0 ? 1 : 0);
        expect(days![row]).toEqual(i % 50 === 0 ? Number.NaN : Date.UTC(2026, 0, 1) + (i % 100) * 86_400_000);
        expect(part.target[row]).toBe(
          ['a', 'b', 'c', 'c'].map((name) => part.classes!.indexOf(name))[(i >> 2) % 4],
        );
      }
      expect(n).toEqual([...n!].sort((a, b) => a - b));
    }
    expect(seen.size).toBe(ROWS - ROWS / 20);
  });

  it('is the same for the same seed and any number of threads, and another for another seed', async () => {
    const one = await load('y', stratified, 1);
    const two = await load('y', stratified, 2);
    const other = await load('y', { ...stratified, seed: 8 });
    expect(two).toEqual(one);
    expect(valuesOf(other.test, 'n')).not.toEqual(valuesOf(one.test, 'n'));
    expect(other.test.rows).toBe(one.test.rows);
  });

  it('splits every class by the same share', async () => {
    const { train, test } = await load('y', stratified);
    const count = (part: Table, code: number) => part.target.filter((value) => value === code).length;
    for (const code of [0, 1, 2]) {
      const all = count(train, code) + count(test, code);
      expect(count(test, code)).toBe(Math.round(all * 0.2));
    }
  });

  it('splits by time so that the test is later, rows of a day together, rows without a day for training', async () => {
    const { train, test } = await load('y', byTime);
    const known = valuesOf(train, 'day').filter((day) => !Number.isNaN(day));
    expect(Math.max(...known)).toBeLessThan(Math.min(...valuesOf(test, 'day')));
    expect(known.length).toBeLessThan(train.rows);
    expect(test.rows / (test.rows + known.length)).toBeCloseTo(0.25, 1);
    const byNumber = await load('y', { ...byTime, timeColumn: 'n' });
    expect(Math.max(...valuesOf(byNumber.train, 'n'))).toBeLessThan(
      Math.min(...valuesOf(byNumber.test, 'n')),
    );
  });

  it('holds targets that are numbers, truth values and expressions with long lists', async () => {
    const regression = await load('n / 2', random);
    expect(regression.train.task).toBe('regression');
    expect(regression.train.columns.map(({ name }) => name)).not.toContain('n');
    const flags = await load('flag', stratified);
    expect(flags.test.classes).toEqual([false, true]);
    const lists = await load(
      `n IN (${Array.from({ length: 100 }, (_, i) => i * 50).join(', ')})`,
      stratified,
    );
    for (const part of [lists.train, lists.test]) {
      expect([...part.target]).toEqual(valuesOf(part, 'day').map((day) => (Number.isNaN(day) ? 1 : 0)));
    }
  });

  it.each([
    [{ ...random, testShare: 0 }, 'The test share 0 is not between 0 and 1'],
    [{ ...random, testShare: 1e-9 }, 'rows cannot be divided'],
    [{ ...byTime, timeColumn: 'dai' }, 'there is no column "dai"'],
    [{ ...byTime, timeColumn: 'word' }, 'column "word" holds no dates or numbers'],
  ])('refuses the split %j', async (split, message) => {
    await expect(load('y', split as SplitSpec)).rejects.toThrow(message);
  });

  it('reports progress', async () => {
    const seen: number[] = [];
    await loadTable({
      parquetPath: (await table).path,
      plan: await planFor('y'),
      split: random,
      onProgress: (done) => seen.push(done),
    });
    expect(seen.at(-1)).toBe(1);
    expect(seen).toEqual([...seen].sort((a, b) => a - b));
  });
});

describe('rows that are kept out', () => {
  it('are the test rows of the split, as they came, with the target under its name', async () => {
    const { path } = await table;
    const plan = await planFor('n > 2500');
    const outPath = join(folder, 'held-out.parquet');
    const { test } = await loadTable({ parquetPath: path, plan, split: stratified });
    expect(await exportHeldOut({ parquetPath: path, plan, split: stratified, outPath })).toEqual({
      rows: test.rows,
      testRows: test.rows,
    });
    const { rows, targets } = await readHeldOut(outPath, { targetName: 'n > 2500' });
    expect(targets).toEqual([...test.target].map((code) => test.classes![code]));
    expect(rows.map((row) => (row['day'] === null ? Number.NaN : Date.parse(String(row['day']))))).toEqual(
      valuesOf(test, 'day'),
    );
    expect(rows.map((row) => Math.fround((row['x'] as number | null) ?? Number.NaN))).toEqual(
      valuesOf(test, 'x'),
    );
    expect(Object.keys(rows[0]!)).toEqual(plan.features.map(({ name }) => name));
    await expect(readHeldOut(outPath, { targetName: 'n > 250' })).rejects.toThrow('did you mean "n > 2500"?');
  });

  it('are drawn by the seed when there are more than wanted', async () => {
    const { path } = await table;
    const plan = await planFor('y');
    const draw = async (name: string, seed: number) => {
      const outPath = join(folder, name);
      await exportHeldOut({ parquetPath: path, plan, split: { ...stratified, seed }, outPath, maxRows: 50 });
      return (await readHeldOut(outPath, { targetName: 'y' })).rows.map((row) => row['n']);
    };
    const one = await draw('one.parquet', 1);
    expect(one).toHaveLength(50);
    expect(await draw('two.parquet', 1)).toEqual(one);
    expect(await draw('three.parquet', 2)).not.toEqual(one);
  });

  it('may be any labelled rows of another table', async () => {
    const { path, schema } = await table;
    const plan = await planTarget({ parquetPath: path, schema, target: "y = 'a'" });
    const outPath = join(folder, 'labelled.parquet');
    await exportLabelled({ parquetPath: path, plan, columns: ['n', 'word'], outPath, maxRows: 100 });
    const { rows, targets } = await readHeldOut(outPath, { targetName: "y = 'a'" });
    expect(rows).toHaveLength(100);
    expect(rows[0]).toEqual({ n: 1, word: 'green' });
    expect(targets.slice(0, 4)).toEqual([true, true, true, false]);
  });
});

describe('rows of a file', () => {
  it('come in their order, in batches, only the wanted ones', async () => {
    const { path } = await table;
    const rows: Record<string, unknown>[] = [];
    let batches = 0;
    for await (const batch of readRows(path, { columns: ['n', 'word'], limit: 4500 })) {
      rows.push(...batch);
      batches++;
    }
    expect(batches).toBeGreaterThan(1);
    expect(rows.map((row) => row['n'])).toEqual(Array.from({ length: 4500 }, (_, i) => i));
    expect(rows[1]).toEqual({ n: 1, word: 'green' });
    await expect(readRows(path, { columns: ['wrd'] }).next()).rejects.toThrow('did you mean "word"?');
  });

  it('keep text that looks like numbers where the model wants text', async () => {
    const path = join(folder, 'codes.csv');
    writeFileSync(path, 'code,n\n12,1\n34,2\n');
    const read = async (text: string[]) =>
      (await readRows(path, { text }).next()).value as Record<string, unknown>[];
    expect(await read([])).toEqual([
      { code: 12, n: 1 },
      { code: 34, n: 2 },
    ]);
    expect((await read(['code']))[0]).toEqual({ code: '12', n: 1 });
    expect((await read(['code', 'not there']))[0]).toEqual({ code: '12', n: 1 });
  });

  it('may be left in the middle, and faults are told as when ingesting', async () => {
    const { path } = await table;
    for await (const batch of readRows(path)) {
      expect(batch.length).toBeGreaterThan(0);
      break;
    }
    await expect(readRows(join(folder, 'none.csv')).next()).rejects.toThrow('No file');
    const ragged = join(folder, 'ragged.csv');
    writeFileSync(ragged, 'a,b\n1,2\n3\n');
    await expect(readRows(ragged).next()).rejects.toThrow(
      'ragged.csv, line 3: 1 field where the header names 2',
    );
  });
});
