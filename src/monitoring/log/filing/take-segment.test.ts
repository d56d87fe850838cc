import { beforeAll, describe, expect, it } from 'vitest';
import { describeDatabases } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  idOf,
  type LogFixture,
  labelLine,
  predictionLine,
  range,
  START,
  stream,
} from '../../../../tests/support/log-fixture.ts';
import { createTestApp } from '../../../../tests/support/test-app.ts';
import { logRoutes } from '../log-routes.ts';

describeDatabases('taking segments', (openDatabase) => {
  let fixture: LogFixture;
  beforeAll(async () => {
    fixture = createLogFixture(await openDatabase());
  });

  it('answers with rows and labels at once, and the same after they are filed', async () => {
    const { ship, select, log } = fixture;
    await ship(
      'predictions',
      range(0, 100).map((i) => predictionLine(i)),
    );
    await ship(
      'feedback',
      range(0, 50).map((i) => labelLine(i, i % 2 === 0)),
    );
    const sql =
      'select hour(date) as hour, count(*), avg(label), count(label) from flights group by 1 order by 1';
    const before = await select(sql);
    expect(before).toEqual([
      [0, 60, 0.5, 50],
      [1, 40, null, 0],
    ]);
    expect(await log.compact()).toEqual({ filed: 2, merged: 0 });
    expect(await select(sql)).toEqual(before);
    await ship(
      'predictions',
      range(100, 130).map((i) => predictionLine(i)),
    );
    expect(await select('select count(*) from predictions')).toEqual([[130]]);
  });

  it('takes the same segment twice and keeps it once, also when both arrive together', async () => {
    const { ship, select, log } = createLogFixture(await openDatabase());
    const lines = range(0, 10).map((i) => predictionLine(i));
    const name = { replica: 'r', incarnation: 'i', sequence: 0 };
    const both = await Promise.all([ship('predictions', lines, name), ship('predictions', lines, name)]);
    expect(both.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(await select('select count(*) from predictions')).toEqual([[10]]);
    await log.compact();
    expect(await ship('predictions', lines, name)).toEqual({ isNew: false });
    // Other names are other segments, whatever is in them.
    for (const other of [{ replica: 's' }, { incarnation: 'j' }, { sequence: 1 }]) {
      expect(await ship('predictions', lines, { ...name, ...other })).toEqual({ isNew: true });
    }
    expect(await select('select count(*) from predictions')).toEqual([[40]]);
  });

  it('refuses other bytes under a name that it has taken', async () => {
    const { ship, select } = createLogFixture(await openDatabase());
    const name = { replica: 'r', incarnation: 'i', sequence: 0 };
    await ship('predictions', [predictionLine(0)], name);
    const other = ship('predictions', [predictionLine(1)], name);
    await expect(other).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
    expect(await select('select prediction_id from predictions')).toEqual([[idOf(0)]]);
  });

  it('shows each of two servers what the other took, and files every segment once', async () => {
    const { log, open, ship, select } = createLogFixture(await openDatabase());
    const other = open();
    await ship(
      'predictions',
      range(0, 20).map((i) => predictionLine(i)),
    );
    expect((await other.query('select count(*) from predictions')).rows).toEqual([[20]]);
    await ship(
      'predictions',
      range(20, 40).map((i) => predictionLine(i)),
    );
    const filed = await Promise.all([log.compact(), other.compact()]);
    expect(filed[0].filed + filed[1].filed).toBe(2);
    for (const each of [log, other]) {
      expect(
        (await each.query('select count(*), count(distinct prediction_id) from predictions')).rows,
      ).toEqual([[40, 40]]);
    }
    await ship(
      'predictions',
      range(40, 50).map((i) => predictionLine(i)),
    );
    await other.compact();
    expect(await select('select count(*) from predictions')).toEqual([[50]]);
  });
});

describeDatabases('segments with bad lines', (openDatabase) => {
  it('sets them aside, counts them, and loses no other line', async () => {
    const { ship, select, log } = createLogFixture(await openDatabase());
    const good = range(0, 6).map((i) => JSON.stringify(predictionLine(i)));
    const deep = `{"id":"x","t":1,"at":1,"m":"flights","v":"1","var":"champion","ms":1,"f":{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}},"p":true}`;
    const lines: (string | Buffer)[] = [
      good[0]!,
      'no json',
      deep,
      good[1]!,
      '[1,2]',
      'null',
      JSON.stringify({ ...predictionLine(9), t: 1e300 }),
      JSON.stringify({ ...predictionLine(9), m: 7 }),
      JSON.stringify({ ...predictionLine(9), var: 'king' }),
      Buffer.from([0x7b, 0xff, 0xfe, 0x7d]),
      good[2]!,
      '',
      JSON.stringify(predictionLine(3)).slice(0, 40),
      good[4]!,
    ];
    const bytes = Buffer.concat(lines.flatMap((line) => [Buffer.from(line), Buffer.from('\n')]));
    await ship('predictions', bytes);
    await ship('feedback', [labelLine(0, true), { ...labelLine(1, true), y: { a: 1 } }, labelLine(2, false)]);
    expect(await select('select count(*), count(label) from predictions')).toEqual([[4, 2]]);
    expect((await log.counts('flights')).badLines).toBe(0);
    await log.compact();
    expect(await select('select count(*), count(label) from predictions')).toEqual([[4, 2]]);
    expect((await log.counts('flights')).badLines).toBe(10);
  });

  it('keeps strange values of good lines as they are', async () => {
    const { ship, select, log } = createLogFixture(await openDatabase());
    const t = START;
    const head = (i: number) =>
      `"id":"${idOf(i)}","t":${t},"at":${t},"m":"odd","v":"1","var":"champion","ms":1`;
    const features = [
      '{"a":1,"a":2}',
      '{"a":1e999,"b":-1e-999}',
      '{"a":"x\\u0000y"}',
      '{"a":"\\ud800 half","b":"\\\\ud800"}',
      '{"a":9007199254740993}',
      '{"__proto__":1,"constructor":2,"":3,"a/b~c":4,"it\'s \\"quoted\\"":5}',
      `{"a":"${'x'.repeat(1_000_000)}"}`,
    ];
    const text = features.map((f, i) => `{${head(i)},"f":${f},"p":"yes"}`).join('\n');
    await ship('predictions', Buffer.from(text));
    const look = async () => [
      await select(`select count(*), count(distinct prediction_id) from odd`),
      await select(
        `select a, length(a) from odd where a is not null order by prediction_id limit 4 offset 1`,
      ),
      await select(
        `select "__proto__", "constructor", "a/b~c", "it's ""quoted""" from odd where "a/b~c" is not null`,
      ),
      await select(`select max(length(a)) from odd`),
    ];
    const before = await look();
    expect(before[0]).toEqual([[7, 7]]);
    expect(before[1]?.[0]).toEqual(['x\u0000y', 3]);
    expect(before[1]?.[1]).toEqual(['\ufffd half', 6]);
    expect(before[2]).toEqual([['1', '2', '4', '5']]);
    expect(before[3]).toEqual([[1_000_000]]);
    await log.compact();
    expect(await look()).toEqual(before);
  });
});

describe('segments over HTTP', () => {
  it('are streamed with a limit, checked against their digest, and answered when they are kept', async () => {
    const { openTestDatabase } = await import('../../../../tests/support/index.ts');
    const { log } = createLogFixture(await openTestDatabase('sqlite'));
    const { app, start } = createTestApp();
    await app.register(logRoutes({ log, maxSegmentBytes: 10_000 }));
    const url = await start();
    const put = (name: string, body: string, headers: Record<string, string> = {}) =>
      fetch(`${url}/api/v1/serving/segments/${name}`, {
        method: 'PUT',
        headers: { 'content-type': 'application/x-ndjson', ...headers },
        body,
      });
    const body = `${JSON.stringify(predictionLine(0))}\n`;
    expect((await put('predictions/a/i/0', body)).status).toBe(200);
    expect(await (await put('predictions/a/i/0', body)).json()).toEqual({ is_new: false });
    expect((await put('predictions/a/i/0', `${body}\n`)).status).toBe(409);
    const wrong = await put('predictions/a/i/1', body, { 'x-content-sha256': '0'.repeat(64) });
    expect(wrong.status).toBe(400);
    expect(await wrong.text()).toContain('sha256');
    expect((await put('predictions/a/i/1', body, { 'x-content-sha256': 'short' })).status).toBe(400);
    expect((await put('predictions/a/i/1', 'x'.repeat(10_001))).status).toBe(413);
    for (const name of [
      'other/a/i/0',
      'predictions/a/i/-1',
      'predictions/a%2F..%2Fb/i/0',
      'predictions/a/i/x',
    ]) {
      expect([name, (await put(name, body)).status]).toEqual([name, 400]);
    }
    const query = await fetch(`${url}/api/v1/log/query`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql: 'select version, count(*) as n from predictions group by 1' }),
    });
    expect(await query.json()).toEqual({
      columns: [
        { name: 'version', type: 'VARCHAR' },
        { name: 'n', type: 'BIGINT' },
      ],
      rows: [['1', 1]],
      truncated: false,
    });
    const counted = await (await fetch(`${url}/api/v1/models/flights/log`)).json();
    expect(counted).toMatchObject({ rows: 1, labelled: 0, newest_event: START, bad_lines: 0 });
    const unknown = await fetch(`${url}/api/v1/models/nobody/log`);
    expect(unknown.status).toBe(404);
    expect(await unknown.json()).toMatchObject({
      message: expect.stringContaining('no predictions of a model "nobody", but of flights'),
    });
    expect(await log.counts('nobody')).toMatchObject({ rows: 0, newestEvent: undefined, groups: [] });
  });

  it('are not taken when the body breaks off', async () => {
    const { openTestDatabase } = await import('../../../../tests/support/index.ts');
    const { log, select } = createLogFixture(await openTestDatabase('sqlite'));
    const broken = async function* () {
      yield* stream(Buffer.from(`${JSON.stringify(predictionLine(0))}\n`));
      throw new Error('lost');
    };
    const name = { kind: 'predictions', replica: 'a', incarnation: 'i', sequence: 0 } as const;
    await expect(log.takeSegment(name, broken())).rejects.toThrow('lost');
    expect(await select('select count(*) from predictions')).toEqual([[0]]);
  });
});
