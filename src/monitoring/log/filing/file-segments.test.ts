import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeDatabases, openTestDatabase } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  DAY_MS,
  idOf,
  labelLine,
  predictionLine,
  range,
  START,
} from '../../../../tests/support/log-fixture.ts';
import { createAuditStore } from '../../../platform/index.ts';
import { changeLog, forgetLogGarbage, giveUpOutputs, planLogOutputs } from '../commands.ts';
import { createLogGarbage } from '../store/log-garbage.ts';
import { createLogStore, type NewFile } from '../store/log-store.ts';
import type { LogFile } from '../store/log-tables.ts';
import { filesToMerge } from './file-segments.ts';

/** Everything of the log that the artifact store names. */
function artifactNames(root: string): string[] {
  const found = readdirSync(join(root, 'artifacts', 'refs'), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

const fileOf = (outputs: string): NewFile => ({
  kind: 'predictions',
  model: 'flights',
  fromMs: START,
  toMs: START,
  rows: 1,
  sizeBytes: 1,
  artifact: `${outputs}/0.parquet`,
  sha256: 'x',
  columns: [],
  createdAt: START,
});

describeDatabases('filing segments', (openDatabase) => {
  it('keeps few files whatever number of segments comes, each row once, and removes what was filed', async () => {
    const database = await openDatabase();
    const { ship, select, log, root } = createLogFixture(database);
    const store = createLogStore(database.reader);
    let expected = 0;
    for (let round = 0; round < 20; round++) {
      const rows = range(round * 300, round * 300 + 300);
      expected += rows.length;
      await ship(
        'predictions',
        rows.map((i) => predictionLine(i)),
      );
      await ship(
        'feedback',
        rows.map((i) => labelLine(i, i % 2 === 0)),
      );
      await log.compact();
    }
    const files = await store.files();
    expect(files.length).toBeLessThanOrEqual(14);
    expect(await store.newSegments()).toEqual([]);
    expect(
      await select(`select count(*), count(distinct prediction_id), count(label), avg(label) from flights`),
    ).toEqual([[expected, expected, expected, 0.5]]);
    expect(files.filter(({ kind }) => kind === 'predictions').reduce((sum, file) => sum + file.rows, 0)).toBe(
      expected,
    );
    if (database.dialect === 'sqlite') expect(artifactNames(root)).toHaveLength(files.length);
  });

  it('keeps files whose commit stood although its answer was lost, and refuses one whose files were removed', async () => {
    const database = await openDatabase();
    const store = createLogStore(database.reader);
    const outputs = 'log/files/1-a';
    const file = fileOf(outputs);
    await database.execute(planLogOutputs, { folder: outputs, nowMs: 1 });
    await database.execute(changeLog, { add: [file], outputs, nowMs: 1 });
    await database.execute(changeLog, { outputs, nowMs: 1 });
    expect(await createLogGarbage(database.reader).list(10)).toEqual([]);
    await database.execute(planLogOutputs, { folder: 'log/files/2-b', nowMs: 1 });
    await database.execute(changeLog, { outputs: 'log/files/2-b', nowMs: 1 });
    expect(await createLogGarbage(database.reader).list(10)).toEqual(['log/files/2-b']);
    await database.execute(forgetLogGarbage, ['log/files/2-b']);
    const late = { ...file, artifact: 'log/files/2-b/0.parquet' };
    await expect(
      database.execute(changeLog, { add: [late], outputs: 'log/files/2-b', nowMs: 1 }),
    ).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
    expect(await store.files()).toHaveLength(1);
  });

  it.each(['by its own server', 'by another, which held it to be dead'])(
    'lets no change stand that was given up %s',
    async (by) => {
      const database = await openDatabase();
      const outputs = 'log/files/1-a';
      await database.execute(planLogOutputs, { folder: outputs, nowMs: 1 });
      if (by === 'by its own server') await database.execute(changeLog, { outputs, nowMs: 1 });
      else await database.execute(giveUpOutputs, { announcedBeforeMs: 2 });
      expect(await createLogGarbage(database.reader).list(10)).toEqual([outputs]);
      const file = fileOf(outputs);
      await expect(database.execute(changeLog, { add: [file], outputs, nowMs: 1 })).rejects.toMatchObject({
        code: 'RESOURCE_CONFLICT',
      });
      expect(await createLogStore(database.reader).files()).toEqual([]);
    },
  );

  it('removes at its start what a dead process stored and did not record, where no other server may be about to', async () => {
    const database = await openDatabase();
    const fixture = createLogFixture(database);
    await fixture.ship('predictions', [predictionLine(1)]);
    await fixture.log.close();
    const lately = `${Date.now() - 60_000}-busy`;
    for (const name of [`${Date.now() - 2 * DAY_MS}-dead`, lately])
      await fixture.artifacts.put(`log/incoming/${name}/predictions-a-i1-7-x`, Buffer.from('{}\n'));
    const again = fixture.open();
    expect((await again.query('select count(*) from flights')).rows).toEqual([[1]]);
    const left = (await fixture.artifacts.list('log/incoming')).map(({ name }) => name);
    expect(left).toHaveLength(database.dialect === 'sqlite' ? 1 : 2);
    expect(left.includes(lately)).toBe(database.dialect === 'postgres');
  });

  it('drops files whose rows are too old, counts them, and keeps old rows that were filed lately', async () => {
    const database = await openDatabase();
    const { ship, select, log, clock } = createLogFixture(database, { retentionMs: 365 * DAY_MS });
    await ship(
      'predictions',
      range(0, 10).map((i) => predictionLine(i)),
    );
    await ship('feedback', [labelLine(0, true)]);
    clock.advance(300 * DAY_MS);
    // Of the same events, but new.
    await ship('predictions', [predictionLine(20)]);
    await log.compact();
    expect(await select('select count(*) from predictions')).toEqual([[11]]);
    clock.advance(366 * DAY_MS);
    await ship('predictions', [predictionLine(30, { t: clock.now() - DAY_MS }), predictionLine(31)]);
    await log.compact();
    expect(await select('select count(*), min(timestamp) from predictions')).toEqual([
      [2, new Date(predictionLine(31).t).toISOString()],
    ]);
    expect((await log.counts('flights')).dropped).toEqual({ retention: 11, forgotten: 0 });
  });

  it('refuses a change whose files another server has replaced', async () => {
    const database = await openDatabase();
    const store = createLogStore(database.reader);
    const { ship, log, open, select } = createLogFixture(database);
    await ship('predictions', [predictionLine(0)]);
    await log.compact();
    const [file] = await store.files();
    const { changeLog } = await import('../commands.ts');
    const change = { remove: [file!.id], nowMs: Date.now() };
    const both = await Promise.allSettled([
      database.execute(changeLog, change),
      database.execute(changeLog, change),
    ]);
    expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    expect(await select('select count(*) from predictions')).toEqual([[0]]);
    expect((await open().query('select count(*) from predictions')).rows).toEqual([[0]]);
  });
});

describeDatabases('forgetting', (openDatabase) => {
  it('takes rows and their labels out of every file, and tells the audit all but the value', async () => {
    const database = await openDatabase();
    const { ship, select, log, root } = createLogFixture(database);
    const person = 'ann-4711';
    const line = (i: number, name: string, given = {}) =>
      predictionLine(i, { f: { name, distance: i }, ...given });
    await ship('predictions', [line(0, person), line(1, 'bob'), line(2, person, { m: 'other' })]);
    await ship('feedback', [labelLine(0, true), labelLine(1, true), labelLine(2, true, { m: 'other' })]);
    await log.compact();
    await ship('predictions', [line(3, person), line(4, 'bob', { k: person })]);
    await ship(
      'predictions',
      Buffer.from(`{"id":"broken","f":{"name":"${person}"}\n${JSON.stringify(line(5, 'bob'))}\n`),
    );
    const request = { column: 'name', value: person, actor: 'dana', reason: 'asked to' };
    expect(await log.forget({ ...request, model: 'flights' })).toEqual({
      files: 4,
      predictions: 2,
      labels: 1,
      setAside: 1,
    });
    expect(await select('select prediction_id from predictions order by 1')).toEqual(
      [1, 2, 4, 5].map((i) => [idOf(i)]),
    );
    expect(await select('select prediction_id from labels order by 1')).toEqual([1, 2].map((i) => [idOf(i)]));
    expect(await log.forget(request)).toMatchObject({ predictions: 1, labels: 1 });
    expect(await log.forget({ ...request, column: '@key' })).toMatchObject({ predictions: 1, labels: 0 });
    expect(await log.forget(request)).toEqual({ files: 0, predictions: 0, labels: 0, setAside: 0 });
    expect((await log.counts('flights')).dropped.forgotten).toBe(3);

    const entries = await createAuditStore(database.reader).list();
    expect(entries[entries.length - 1]).toMatchObject({
      actor: 'dana',
      action: 'log.forget',
      subject: 'models/flights',
      reason: 'asked to',
      evidence: { column: 'name', predictions: 2, labels: 1, set_aside: 1 },
    });
    expect(JSON.stringify(entries)).not.toContain(person);
    // Neither what is filed nor what came in holds it any more.
    const objects = join(root, 'artifacts', 'objects');
    expect(await select(`select count(*) from predictions where features::text like '%${person}%'`)).toEqual([
      [0],
    ]);
    expect(grep(objects, person)).toEqual([]);
    expect(grep(join(root, 'log'), person)).toEqual([]);
  });

  it('meets numbers however they are written, and whole values only', async () => {
    const { ship, select, log } = createLogFixture(await openDatabase());
    const values = [7, 7.0, '7', '7.00', 70, '07a', 9007199254740993n];
    const lines = values.map((value, i) => {
      const text = JSON.stringify(predictionLine(i, { f: { id: 0 } }));
      return text.replace('"id":0', `"id":${typeof value === 'bigint' ? value : JSON.stringify(value)}`);
    });
    await ship('predictions', Buffer.from(lines.join('\n')));
    const request = { column: 'id', actor: 'dana', reason: 'asked to' };
    expect(await log.forget({ ...request, value: '7' })).toMatchObject({ predictions: 4 });
    expect(await log.forget({ ...request, value: "x' or 1=1 --" })).toMatchObject({ predictions: 0 });
    expect(await select('select count(*) from predictions')).toEqual([[3]]);
    await ship('predictions', [predictionLine(50, { f: { id: 7 } })]);
    expect(await select('select count(*) from predictions')).toEqual([[4]]);
    // Beyond 2^53 every digit counts.
    expect(await log.forget({ ...request, value: '9007199254740992' })).toMatchObject({ predictions: 0 });
    expect(await log.forget({ ...request, value: '9007199254740993' })).toMatchObject({ predictions: 1 });
  });
});

/** Files below a folder that hold a text in clear. */
function grep(folder: string, text: string): string[] {
  const { readFileSync } = process.getBuiltinModule('node:fs');
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => readFileSync(path).includes(text));
}

describe('files to merge', () => {
  const file = (id: number, given: Partial<LogFile> = {}): LogFile => ({
    id,
    kind: 'predictions',
    model: 'm',
    fromMs: START,
    toMs: START + DAY_MS,
    rows: 500,
    sizeBytes: 1,
    artifact: String(id),
    columns: [],
    createdAt: 0,
    ...given,
  });

  it('are the small ones of one month, model and kind, when they are many', () => {
    expect(filesToMerge(range(0, 7).map((i) => file(i)))).toEqual([]);
    const eight = range(0, 8).map((i) => file(i));
    expect(filesToMerge(eight)).toEqual([eight]);
    expect(
      filesToMerge(eight.map((each, i) => ({ ...each, kind: i < 4 ? 'feedback' : 'predictions' }))),
    ).toEqual([]);
    expect(filesToMerge(eight.map((each, i) => ({ ...each, model: String(i % 2) })))).toEqual([]);
    expect(filesToMerge(eight.map((each, i) => ({ ...each, fromMs: START - (i % 2) * DAY_MS })))).toEqual([]);
    expect(filesToMerge([...eight.slice(1), file(9, { rows: 60_000 })])).toEqual([]);
  });

  it('give files of a size that is written fast', () => {
    const [group] = filesToMerge(range(0, 20).map((i) => file(i, { rows: 30_000 })));
    expect(group).toHaveLength(6);
  });
});

it('tells the process nothing of a server that is closed', async () => {
  const { ship, log } = createLogFixture(await openTestDatabase('sqlite'));
  await ship('predictions', [predictionLine(0)]);
  await log.close();
  await expect(log.query('select 1')).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' });
});

it('goes on without a file or segment whose bytes are gone', async () => {
  const database = await openTestDatabase('sqlite');
  const { ship, log, open, artifacts } = createLogFixture(database);
  await ship('predictions', [predictionLine(0)]);
  await log.compact();
  await ship('predictions', [predictionLine(1)]);
  await log.compact();
  await ship('predictions', [predictionLine(2)]);
  await ship('predictions', [predictionLine(3)]);
  const store = createLogStore(database.reader);
  await artifacts.delete((await store.files())[0]!.artifact);
  await artifacts.delete((await store.newSegments())[0]!.artifact);
  const other = open();
  const left = async () => (await other.query('select prediction_id from predictions order by 1')).rows;
  expect(await left()).toEqual([[idOf(1)], [idOf(3)]]);
  await other.compact();
  expect(await left()).toEqual([[idOf(1)], [idOf(3)]]);
});

it('keeps what a backup may still copy for a while, and not what is to be forgotten', async () => {
  const database = await openTestDatabase('sqlite');
  const { ship, log, root } = createLogFixture(database, { graceMs: 60_000 });
  await ship('predictions', [predictionLine(0), predictionLine(1)]);
  const before = artifactNames(root);
  await log.compact();
  await log.compact();
  expect(artifactNames(root)).toEqual(expect.arrayContaining(before));
  const forgotten = { column: 'distance', value: '1', actor: 'dana', reason: 'asked to' };
  expect(await log.forget(forgotten)).toMatchObject({ predictions: 1 });
  expect(artifactNames(root)).toHaveLength(1);
});
