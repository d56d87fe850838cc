import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { type IngestedTable, ingestFile } from '../ingest/ingest-file.ts';
import { type ComposeRequest, composeTable } from './compose-table.ts';
import { planTraining } from './plan-training.ts';
import { readRows } from './read-rows.ts';

const folder = tempDir();
let files = 0;
const fresh = (end: string) => join(folder, `${files++}.${end}`);
const DAY = 86_400_000;
const day = (n: number) => Date.UTC(2001, 0, n);

async function dataset(): Promise<IngestedTable> {
  const path = fresh('csv');
  const lines = Array.from({ length: 30 }, (_, i) =>
    [new Date(day(1) + i * DAY).toISOString(), i * 3 - 20, 100 + i, i % 2 ? 'LAX' : 'ATL', `p${i}`].join(','),
  );
  writeFileSync(path, ['date,delay,distance,to,plane', ...lines, ''].join('\n'));
  return ingestFile({ path, outPath: `${path}.parquet`, time: 'date', id: 'plane' });
}

/** Rows as a prediction log has them: no target column of the dataset, the label under the target's name. */
async function log(select: string): Promise<string> {
  const path = fresh('parquet');
  const instance = await DuckDBInstance.create(':memory:', { memory_limit: '300MB', threads: '1' });
  const connection = await instance.connect();
  await connection.run(`COPY (${select}) TO '${path}' (FORMAT parquet)`);
  connection.closeSync();
  instance.closeSync();
  return path;
}

const labelled = () =>
  log(`SELECT epoch_ms(${day(31)} + i * ${DAY}) AS date, (200 + i)::BIGINT AS distance, 'SFO' AS "to",
    (i % 2 = 0) AS "delay > 15", (${day(31)} + i * ${DAY})::BIGINT AS __time, 'caller ' || i AS __entity
    FROM range(10) t(i)`);

async function compose(table: IngestedTable, request: Partial<ComposeRequest>) {
  const composed = await composeTable({
    sources: [{ parquetPath: table.path }],
    schema: table.schema,
    target: 'delay > 15',
    time: 'date',
    id: 'plane',
    outPath: fresh('parquet'),
    ...request,
  });
  const rows: Record<string, unknown>[] = [];
  for await (const batch of readRows(composed.path)) rows.push(...batch);
  return { composed, rows };
}

describe('a composed table', () => {
  it('holds rows of a dataset and of a log, typed alike, with one column for the target', async () => {
    const table = await dataset();
    const sources = [
      { parquetPath: table.path, from: day(11), to: day(21) },
      { parquetPath: await labelled(), from: day(31), to: day(33), targetIsComputed: true },
    ];
    const { composed, rows } = await compose(table, { sources });
    expect(composed).toMatchObject({
      rows: 12,
      targetName: 'delay > 15',
      withoutTarget: 0,
      from: day(11),
      to: day(32) + 1,
      schema: [
        { name: 'date', type: 'datetime', nullable: false, role: 'time' },
        { name: 'distance', type: 'long', nullable: false },
        { name: 'to', type: 'string', nullable: false },
        { name: 'plane', type: 'string', nullable: false, role: 'id' },
        { name: 'delay > 15', type: 'boolean', nullable: false },
      ],
    });
    expect(rows[0]).toEqual({
      date: '2001-01-11T00:00:00.000Z',
      distance: 110,
      to: 'ATL',
      plane: 'p10',
      'delay > 15': false,
    });
    expect(rows.at(-1)).toMatchObject({ distance: 201, to: 'SFO', plane: 'caller 1', 'delay > 15': false });
    const plan = await planTraining({
      parquetPath: composed.path,
      schema: composed.schema,
      target: 'delay > 15',
    });
    expect(plan).toMatchObject({ task: 'binary', classes: [false, true], targetColumns: ['delay > 15'] });
    expect(plan.features.map(({ name }) => name)).toEqual(['date', 'distance', 'to']);
  });

  it('has the same digest for the same rows, whatever the order of the sources, and another for other rows', async () => {
    const table = await dataset();
    const [first, second] = [
      { parquetPath: table.path, to: day(5) },
      { parquetPath: table.path, from: day(5) },
    ];
    const digest = async (sources: ComposeRequest['sources']) =>
      (await compose(table, { sources })).composed.digest;
    const whole = await digest([{ parquetPath: table.path }]);
    expect(await digest([first, second])).toBe(whole);
    expect(await digest([second, first])).toBe(whole);
    expect(await digest([first])).not.toBe(whole);
  });

  it('takes the time of a source that has no time column from __time, and leaves its missing columns missing', async () => {
    const table = await dataset();
    const path = await log(
      `SELECT 7::BIGINT AS distance, true AS "delay > 15", ${day(12)}::BIGINT AS __time UNION ALL SELECT 8, NULL, ${day(13)}`,
    );
    const sources = [{ parquetPath: path, from: day(12), to: day(14), targetIsComputed: true }];
    const { composed, rows } = await compose(table, { sources });
    expect(rows).toEqual([
      { date: '2001-01-12T00:00:00.000Z', distance: 7, to: null, plane: null, 'delay > 15': true },
    ]);
    expect(composed).toMatchObject({ withoutTarget: 1, from: day(12), to: day(12) + 1 });
  });

  it('keeps the newest rows when there are too many', async () => {
    const table = await dataset();
    const { rows } = await compose(table, { maxRows: 3 });
    expect(rows.map(({ distance }) => distance)).toEqual([127, 128, 129]);
  });

  it('keeps a target that is a column, under its name', async () => {
    const table = await dataset();
    const { composed } = await compose(table, { target: 'to' });
    expect(composed.targetName).toBe('to');
    expect(composed.schema.map(({ name }) => name)).toEqual(['date', 'delay', 'distance', 'plane', 'to']);
  });

  it.each<[Partial<ComposeRequest>, string]>([
    [{ time: 'dates' }, 'did you mean "date"'],
    [{ target: 'delai > 15' }, 'did you mean "delay"'],
  ])('refuses %j', async (request, message) => {
    await expect(compose(await dataset(), request)).rejects.toThrow(message);
  });

  it('says which rows were asked for when none is left', async () => {
    const table = await dataset();
    const sources = [{ parquetPath: table.path, from: day(60), to: day(70) }];
    await expect(compose(table, { sources })).rejects.toThrow(
      'no row to train on: rows from 2001-03-01T00:00:00.000Z to 2001-03-11T00:00:00.000Z',
    );
    await expect(compose(table, { sources, time: undefined })).rejects.toThrow('name the time column');
  });
});
