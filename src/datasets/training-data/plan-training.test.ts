import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { type IngestedTable, ingestFile } from '../ingest/ingest-file.ts';
import { type PlanRequest, planTraining } from './plan-training.ts';

const folder = tempDir();
let files = 0;

async function ingest(header: string, rows: (row: number) => unknown[], count = 200): Promise<IngestedTable> {
  const path = join(folder, `${files++}.csv`);
  const lines = Array.from({ length: count }, (_, row) => rows(row).join(','));
  writeFileSync(path, [header, ...lines, ''].join('\n'));
  return ingestFile({ path, outPath: `${path}.parquet` });
}

const plan = (table: IngestedTable, target: string, options: Partial<PlanRequest> = {}) =>
  planTraining({ parquetPath: table.path, schema: table.schema, target, ...options });

/** Numbers without a pattern that the columns could share. */
const noise = (row: number, salt = 0) => {
  const mixed = Math.imul((row + 1) ^ (salt * 0x9e3779b9), 0x85ebca6b);
  return (((mixed ^ (mixed >>> 13)) >>> 0) % 1009) / 10;
};

const flights = () =>
  ingest('flight,delay,distance,origin,late,code,airline', (row) => {
    const delay = Math.round(noise(row)) - 30;
    return [
      `F${row}`,
      delay,
      Math.round(noise(row, 1) * 10),
      ['LAX', 'ATL', 'JFK'][row % 3],
      delay > 15 ? 'yes' : 'no',
      delay > 15 ? 7 : 3,
      'Tidemill',
    ];
  });

describe('a plan', () => {
  it('takes an expression for the target; its columns, ids, constants and copies never become features', async () => {
    const planned = await plan(await flights(), 'delay > 15');
    expect(planned).toMatchObject({
      task: 'binary',
      targetName: 'delay > 15',
      targetColumns: ['delay'],
      classes: [false, true],
      rows: 200,
      droppedRows: 0,
      warnings: [],
    });
    expect(planned.features).toEqual([
      { name: 'distance', type: 'long', nullable: false },
      {
        name: 'origin',
        type: 'string',
        nullable: false,
        categories: ['ATL', 'LAX', 'JFK'].sort((a, b) =>
          a === 'JFK' ? 1 : b === 'JFK' ? -1 : a < b ? -1 : 1,
        ),
      },
    ]);
    expect(planned.excluded).toEqual([
      {
        column: 'flight',
        why: 'nearly every row has a text of its own (200 in 200 rows), as names and ids do',
      },
      { column: 'delay', why: 'the target is made of it' },
      { column: 'late', why: 'it equals the target up to renaming' },
      { column: 'code', why: 'it equals the target up to renaming' },
      { column: 'airline', why: 'it has the same value in every row' },
    ]);
  });

  it('warns about a column that alone nearly predicts the target, and keeps it', async () => {
    const planned = await plan(await flights(), 'late', { ignore: ['code'] });
    expect(planned.features.map(({ name }) => name)).toEqual(['delay', 'distance', 'origin']);
    expect(planned.warnings).toHaveLength(1);
    expect(planned.warnings[0]).toMatch(
      /^column "delay" alone predicts the target nearly perfectly \(AUC (1\.000|0\.99\d)\)/,
    );
    expect(planned.excluded).toContainEqual({ column: 'code', why: 'it is to be ignored' });
  });

  it('finds a number on another scale, by its line over all rows', async () => {
    const table = await ingest('km,miles,noisy,same,price', (row) => {
      const km = row + noise(row) / 7;
      return [km, km / 1.609344 + 3, km + (row === 150 ? 40 : 0), km, noise(row, 3)];
    });
    const planned = await plan(table, 'km');
    expect(planned.task).toBe('regression');
    expect(planned.excluded).toEqual([
      { column: 'km', why: 'it is the target' },
      { column: 'miles', why: 'it is the target on another scale' },
      { column: 'same', why: 'it equals the target' },
    ]);
    expect(planned.features.map(({ name }) => name)).toEqual(['noisy', 'price']);
    expect(planned.warnings[0]).toMatch(/^column "noisy" alone .* \(R² (1\.000|0\.99\d)\)/);
  });

  it('finds a number that was rounded, or that is missing in some rows, and keeps one that only comes near', async () => {
    const table = await ingest('grams,pounds,kilos,sparse,near,hour', (row) => {
      const grams = 1000 * noise(row, 5) + 7 * row;
      return [
        grams,
        (grams * 0.0022).toFixed(2),
        row % 3 === 0 ? '' : grams / 1000,
        row % 3 === 0 ? grams : '',
        grams + 60 * noise(row, 9),
        row % 24,
      ];
    });
    const planned = await plan(table, 'grams');
    expect(planned.excluded).toEqual([
      { column: 'grams', why: 'it is the target' },
      { column: 'pounds', why: 'it is the target up to rounding' },
      { column: 'kilos', why: 'where it is filled, it is the target on another scale' },
    ]);
    expect(planned.features.map(({ name }) => name)).toEqual(['sparse', 'near', 'hour']);
    const rounded = await ingest('minutes,seconds,hour', (row) => {
      const seconds = row * 100 + 60 * noise(row, 2);
      return [Math.round(seconds / 60), seconds, noise(row, 4)];
    });
    expect((await plan(rounded, 'minutes')).excluded).toContainEqual({
      column: 'seconds',
      why: 'it is the target up to rounding',
    });
  });

  it('finds a copy of ten values, as the gate does, and keeps a column of fewer or one that is further off', async () => {
    const table = await ingest('grams,ten,nine,off,hour', (row) => {
      const grams = row * 10;
      const level = Math.floor((row * 10) / 200);
      return [grams, level, Math.min(level, 8), level + (row === 57 ? 0.3 : 0), noise(row, 4)];
    });
    expect((await plan(table, 'grams')).excluded).toEqual([
      { column: 'grams', why: 'it is the target' },
      { column: 'ten', why: 'it is the target up to rounding' },
    ]);
    const turned = await ingest('score,exact,hour', (row) => [
      Math.round((row * 11) / 199),
      row * -3,
      noise(row, 4),
    ]);
    expect((await plan(turned, 'score', { task: 'regression' })).excluded).toContainEqual({
      column: 'exact',
      why: 'it is the target up to rounding',
    });
  });

  it('does not take a column for a copy because it is in the first rows', async () => {
    const table = await ingest('species,label,x', (row) => {
      const species = ['setosa', 'versicolor', 'virginica'][row % 3];
      return [
        species,
        row === 199 ? 'a' : { setosa: 'a', versicolor: 'b', virginica: 'c' }[species as 'setosa'],
        noise(row),
      ];
    });
    const planned = await plan(table, 'species');
    expect(planned.features.map(({ name }) => name)).toEqual(['label', 'x']);
    expect(planned.warnings[0]).toContain('column "label" alone');
  });

  it('tells the task from the target', async () => {
    const table = await ingest('word,flag,few,many,real,two,x', (row) => [
      ['c', 'a', 'b'][row % 3],
      row % 2 === 0,
      row % 5,
      row % 60,
      row / 7,
      `${row % 7 === 0 ? 1 : 0}.0`,
      noise(row),
    ]);
    expect(await plan(table, 'word')).toMatchObject({ task: 'multiclass', classes: ['a', 'b', 'c'] });
    expect(await plan(table, 'flag')).toMatchObject({ task: 'binary', classes: [false, true] });
    const few = await plan(table, 'few');
    expect(few).toMatchObject({ task: 'multiclass', classes: [0, 1, 2, 3, 4] });
    expect(few.notes[0]).toContain('say that the task is regression');
    expect(await plan(table, 'few', { task: 'regression' })).toMatchObject({ task: 'regression' });
    expect(await plan(table, 'many')).toMatchObject({ task: 'regression' });
    expect((await plan(table, 'many', { task: 'classification' })).classes).toHaveLength(60);
    expect(await plan(table, 'real')).toMatchObject({ task: 'regression' });
    expect(await plan(table, 'two')).toMatchObject({ task: 'binary', classes: [0, 1] });
    expect(await plan(table, 'FEW * 2 + many', { task: 'regression' })).toMatchObject({
      task: 'regression',
      targetColumns: ['few', 'many'],
      targetName: 'FEW * 2 + many',
    });
    expect(await plan(table, 'Word')).toMatchObject({ targetName: 'word', task: 'multiclass' });
    expect(await plan(table, "CASE WHEN real > 20 THEN 'high' ELSE 'low' END")).toMatchObject({
      classes: ['high', 'low'],
    });
    await expect(plan(table, 'word', { task: 'regression' })).rejects.toThrow(
      'is a string; regression needs a number',
    );
  });

  it('leaves out rows without a target, and counts them', async () => {
    const table = await ingest('y,x,z', (row) => [
      row % 4 === 0 ? '' : row % 3,
      noise(row),
      row % 4 === 0 ? 'only here' : 'w',
    ]);
    const planned = await plan(table, 'y');
    expect(planned).toMatchObject({ rows: 150, droppedRows: 50, classes: [0, 1, 2] });
    expect(planned.notes).toContain('50 rows without a target are left out');
    expect(planned.excluded).toContainEqual({ column: 'z', why: 'it has the same value in every row' });
  });

  it('marks what may be missing, and limits categories to the most frequent', async () => {
    const table = await ingest('y,n,w,t', (row) => [
      row % 2 === 0,
      row % 9 === 0 ? '' : noise(row),
      `w${Math.floor(Math.sqrt(row))}`,
      `2026-01-${String(1 + (row % 28)).padStart(2, '0')}`,
    ]);
    const planned = await plan(table, 'y', { maxCategories: 3, time: 't' });
    expect(planned.features).toEqual([
      { name: 'n', type: 'double', nullable: true },
      { name: 'w', type: 'string', nullable: false, categories: ['w13', 'w12', 'w11'] },
      { name: 't', type: 'datetime', nullable: false },
    ]);
    expect(planned.timeColumn).toBe('t');
    expect(planned.notes).toEqual([
      'column "w" has 15 categories; the 3 most frequent are learned, the others (62.5 % of the rows) count as one',
      'the time column "t" orders the rows and is a feature too',
    ]);
  });

  it('leaves the id column out', async () => {
    const table = await ingest('id,y,x', (row) => [row, row % 2, noise(row)]);
    const planned = await plan(table, 'y', { id: 'id' });
    expect(planned).toMatchObject({
      idColumn: 'id',
      excluded: [{ column: 'id', why: 'it is the id column' }, { column: 'y' }],
    });
  });

  it.each([
    ['dely', 'No column "dely"', 'did you mean "delay"?'],
    ['dely > 3', 'No column "dely" (in "dely > 3")', 'did you mean "delay"?'],
    ['orgin', 'No column "orgin"', 'did you mean "origin"?'],
    ['distance x', 'No column "distance x" (the target)', 'did you mean "distance"?'],
    ['zzzzzz', 'No column "zzzzzz"', 'the columns are "flight", "delay"'],
    ['', 'The target is empty', ''],
    ['origin = ', 'The expression "origin = " is incomplete', ''],
    ['(select 1)', 'uses a query inside the expression', ''],
    ["read_text('/etc/passwd')", 'calls read_text', ''],
    ['1); drop table', 'cannot be read', ''],
    ['origin + 1', 'cannot be computed', ''],
    ["origin > 5 AND delay > 'x'", 'cannot be computed', ''],
    ['CAST(origin AS INTEGER) > 5', 'cannot be computed', ''],
    ['airline', 'has the same value in all 200 rows', ''],
    ['delay > 1000', 'has the same value in all 200 rows', ''],
    ['try_cast(origin AS INTEGER)', 'is missing in every row', ''],
    ["DATE '2026-01-01' + delay::INTEGER", 'it must give a number, a truth value or a text', ''],
  ])('refuses the target %j', async (target, message, remedy) => {
    const table = await flights();
    await expect(plan(table, target)).rejects.toThrow(message);
    await expect(plan(table, target)).rejects.toThrow(remedy);
  });

  it('refuses unknown columns, too many classes, and having nothing to learn from', async () => {
    const table = await flights();
    await expect(plan(table, 'late', { id: 'flght' })).rejects.toThrow(
      'No column "flght" (the id column): did you mean "flight"?',
    );
    await expect(plan(table, 'late', { time: 'tyme' })).rejects.toThrow('No column "tyme" (the time column)');
    await expect(plan(table, 'late', { ignore: ['codes'] })).rejects.toThrow('did you mean "code"?');
    const many = await ingest('y,x', (row) => [`class ${row}`, noise(row)], 1001);
    await expect(plan(many, 'y')).rejects.toThrow('has 1001 different values; classes can be at most 1000');
    const bare = await ingest('y,c', (row) => [row % 2, 1]);
    await expect(plan(bare, 'y')).rejects.toThrow('No column is left to learn from');
  });
});
