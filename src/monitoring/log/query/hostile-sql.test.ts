import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { openTestDatabase } from '../../../../tests/support/index.ts';
import {
  createLogFixture,
  type LogFixture,
  predictionLine,
  range,
} from '../../../../tests/support/log-fixture.ts';

let fixture: LogFixture;
beforeAll(async () => {
  fixture = createLogFixture(await openTestDatabase('sqlite'), { memoryLimitMb: 256 });
  await fixture.ship(
    'predictions',
    range(0, 1100).map((i) => predictionLine(i)),
  );
  await fixture.log.compact();
});

describe('hostile SQL', () => {
  const secret = () => {
    const path = join(fixture.root, 'secret.csv');
    writeFileSync(path, 'a\n42\n');
    return path;
  };

  it.each([
    ['a file', () => `select * from read_csv('${secret()}')`],
    ['a file by its name', () => `select * from '${secret()}'`],
    ['a text file', () => `select * from read_text('/etc/passwd')`],
    ['a blob', () => `select * from read_blob('${secret()}')`],
    ['a folder', () => `select * from glob('${fixture.root}/*')`],
    ['Parquet elsewhere', () => `select * from read_parquet('${fixture.root}/*.parquet')`],
    ['the address book of a network', () => `select * from read_csv('http://127.0.0.1:1/x.csv')`],
    ['a query in a query', () => `select * from query('copy (select 1) to ''${fixture.root}/q''')`],
  ])('cannot read %s', async (_what, sql) => {
    await expect(fixture.log.query(sql())).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
  });

  it.each([
    `copy (select 1) to 'out.csv'`,
    `attach 'x.db'`,
    `pragma database_list`,
    `set memory_limit = '100GB'`,
    `reset all`,
    `install httpfs`,
    `load 'x'`,
    `create table t as select 1`,
    `insert into predictions select 1`,
    `delete from labels`,
    `drop view predictions`,
    `call pragma_version()`,
    `checkpoint`,
    `export database 'x'`,
    `begin transaction`,
    `explain select 1`,
    `prepare p as select 1`,
    `use memory`,
    `vacuum`,
    `select 1; select 2`,
    `select 1; copy (select 1) to 'out.csv'`,
    `select ?`,
  ])('is refused: %s', async (sql) => {
    await expect(fixture.log.query(sql)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    expect(existsSync('out.csv')).toBe(false);
  });

  it('cannot log, change settings by a function, or reach the tables behind the views', async () => {
    for (const sql of [
      `select * from enable_logging(storage := 'file', storage_path := '${fixture.root}/logs')`,
      `select * from hot_predictions_1`,
      `select * from duckdb_settings()`,
      `select sql from duckdb_views`,
      `select current_setting('temp_directory')`,
      `select (select count(*) from main.enable_logging())`,
      `select write_log('x')`,
      `with a as (from query_table('labels')) select * from a`,
      `select * from log_segments`,
    ]) {
      await expect(fixture.log.query(sql)).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    }
    expect(existsSync(join(fixture.root, 'logs'))).toBe(false);
  });

  it.each([
    ['recursion', 'with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r'],
    [
      'a huge join',
      'select sum(a.range * b.range * c.range) from range(1000000) a, range(1000000) b, range(1000000) c',
    ],
  ])('that never ends is stopped: %s', async (_what, sql) => {
    await expect(fixture.log.query(sql, { timeoutMs: 300 })).rejects.toThrow('took longer than 0.3 s');
    expect(await fixture.select('select 1')).toEqual([[1]]);
  });

  it('that takes all memory or answers gigabytes is refused, and others go on', async () => {
    const big = fixture.log.query(`select repeat('x', 4000) from range(100000)`, { limitRows: 100_000 });
    await expect(big).rejects.toThrow('larger than');
    const huge = fixture.log.query('select list(range) from range(1000000000)', { timeoutMs: 60_000 });
    await expect(huge).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    const deep = fixture.log.query(`select ${'('.repeat(40_000)}1${')'.repeat(40_000)}`);
    await expect(deep).rejects.toMatchObject({ code: expect.any(String) });
    expect(await fixture.select('select count(*) > 1000 from flights')).toEqual([[true]]);
  });

  it.each([
    ['lists', `select len(list_transform(range(100000000), x -> x::varchar || 'abcdefghijklmnopqrst'))`],
    ['one text', `select repeat('x', 2000000000)`],
  ])(
    'that grows where DuckDB does not count is refused, and nobody else notices: %s',
    async (_what, sql) => {
      const holder = fixture.log.processId();
      const bomb = fixture.log.query(sql, { timeoutMs: 120_000 });
      const others = Promise.all(
        range(0, 3).map(() => fixture.select('select count(*) > 1000 from flights')),
      );
      await expect(bomb).rejects.toMatchObject({
        code: 'INVALID_PARAMETER_VALUE',
        message: expect.stringMatching(/^The query needs more than the 128 MB of memory that it may use/),
      });
      expect(await others).toEqual([[[true]], [[true]], [[true]]]);
      expect(fixture.log.processId()).toBe(holder);
    },
    150_000,
  );

  it('ends when whoever asked has gone', async () => {
    const gone = new AbortController();
    const asked = fixture.log.query(
      'with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r',
      {
        signal: gone.signal,
      },
    );
    gone.abort(new Error('gone'));
    await expect(asked).rejects.toThrow('gone');
  });
});

const nextTurn = () => new Promise<false>((resolve) => setImmediate(() => resolve(false)));

describe('a process of queries', () => {
  it('is not missed when it is killed, before a query or during one', async () => {
    const { log, select } = createLogFixture(await openTestDatabase('sqlite'));
    expect(await select('select 1')).toEqual([[1]]);
    const [first] = log.queryProcessIds() as [number];
    process.kill(first, 'SIGKILL');
    expect(await select('select 2')).toEqual([[2]]);
    const [second] = log.queryProcessIds().filter((pid) => pid !== first) as [number];
    const slow = log.query('select count(*) from range(3000) a, range(3000) b where a.range + b.range = 7', {
      timeoutMs: 120_000,
    });
    process.kill(second, 'SIGKILL');
    expect((await slow).rows).toEqual([[8]]);
    expect(log.queryProcessIds()).not.toContain(second);
  });

  it('is refused when it is killed again and again', async () => {
    const { log, select } = createLogFixture(await openTestDatabase('sqlite'));
    await select('select 1');
    const endless = 'with recursive r(n) as (select 1 union all select n + 1 from r) select count(*) from r';
    const asked = log.query(endless, { timeoutMs: 120_000 }).catch((error: unknown) => error);
    const killed = new Set<number>();
    const ended = asked.then(() => true);
    while (!(await Promise.race([ended, nextTurn()]))) {
      const pid = log.queryProcessIds().find((each) => !killed.has(each));
      if (pid === undefined) continue;
      killed.add(pid);
      process.kill(pid, 'SIGKILL');
    }
    expect(await asked).toMatchObject({ code: expect.stringMatching(/INVALID_PARAMETER_VALUE|UNAVAILABLE/) });
    expect(await select('select 1')).toEqual([[1]]);
  });
});
