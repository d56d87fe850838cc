import { beforeAll, expect, it } from 'vitest';
import { openTestDatabase, silentLogger, tamperWith } from '../../tests/support/index.ts';
import {
  createLogFixture,
  labelLine,
  predictionLine,
  range,
  START,
} from '../../tests/support/log-fixture.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { logRoutes } from '../monitoring/index.ts';
import { createApp, createMetrics, type Database, listen, systemClock } from '../platform/index.ts';

let url: string;
let database: Database;
const log = (...argv: string[]) => runCapturedCli(['log', ...argv, '--url', url]);

beforeAll(async () => {
  database = await openTestDatabase('sqlite');
  const fixture = createLogFixture(database);
  const app = createApp({
    name: 'test',
    version: '0',
    logger: silentLogger,
    metrics: createMetrics(),
    clock: systemClock,
    verifyResponses: true,
  });
  await app.register(logRoutes({ log: fixture.log }));
  ({ url } = await listen(app, { host: '127.0.0.1', port: 0 }));
  await fixture.ship(
    'predictions',
    range(0, 90).map((i) => predictionLine(i)),
  );
  await fixture.ship(
    'feedback',
    range(0, 30).map((i) => labelLine(i, i % 3 === 0)),
  );
  return () => app.close();
});

it('prints the answer of a query as a table, as CSV, and as JSON', async () => {
  const sql = 'select destination, count(*) as rows, max(date) as newest from flights group by 1 order by 1';
  const table = await log('query', sql);
  expect(table.status).toBe(0);
  expect(table.stdout).toMatch(
    /destination\s+rows\s+newest\s*\nLAX\s+45\s+2001-04-01T01:28:00\.000Z\nSFO\s+45/,
  );
  expect((await log('query', "select 'a,b' as x, [1] as y, null as z", '--csv')).stdout).toBe(
    'x,y,z\n"a,b",[1],\n',
  );
  expect((await log('query', sql, '--json')).json).toMatchObject({
    columns: [{ name: 'destination' }, { name: 'rows' }, { name: 'newest' }],
    rows: [
      ['LAX', 45, '2001-04-01T01:28:00.000Z'],
      ['SFO', 45, '2001-04-01T01:29:00.000Z'],
    ],
    truncated: false,
  });
});

it('shows the views and their columns when there is no SQL', async () => {
  const { status, stdout } = await log('query');
  expect(status).toBe(0);
  expect(stdout).toMatch(/^predictions {2}every prediction of every model/);
  expect(stdout).toMatch(/^flights {2}the predictions of flights, its columns typed/m);
  expect(stdout).toMatch(/^distance\s+DOUBLE$/m);
  const example = /tidemill log query "(.+)"/.exec(stdout)?.[1] as string;
  expect((await log('query', example, '--json')).json.rows).toEqual([['1', 90, 30]]);
  expect((await log('query', '--json')).json.views).toHaveLength(3);
});

it('says that there are more rows than the limit', async () => {
  const { stdout, stderr } = await log('query', 'select 1 as one from flights', '--limit', '2', '--csv');
  expect(stdout).toBe('one\n1\n1\n');
  expect(stderr).toContain('only the first 2 rows');
});

it('tells what is wrong with SQL in one line', async () => {
  const { status, stderr } = await log('query', 'delete from flights');
  expect(status).toBe(1);
  expect(stderr).toContain('The log is only read: give a SELECT, not DELETE');
});

it('counts the predictions of a model by day', async () => {
  const { stdout } = await log('show', 'flights');
  expect(stdout).toContain('90 predictions, 30 labelled, newest 2001-04-01 01:29:00Z');
  expect(stdout).toMatch(/2001-04-01\s+1\s+champion\s+90\s+30/);
  expect((await log('show', 'flights', '--json')).json).toMatchObject({ rows: 90, groups: [{ day: START }] });
});

it('counts every model, and says so where there is none of a name', async () => {
  expect((await log('show')).stdout).toMatch(/flights\s+90\s+30\s+2001-04-01 01:29:00Z/);
  expect((await log('show', '--json')).json).toMatchObject({ models: [{ model: 'flights', rows: 90 }] });
  const { status, stderr } = await log('show', 'flihgts');
  expect(status).toBe(1);
  expect(stderr).toContain('no predictions of a model "flihgts", but of flights');
});

it('says which model servers had to drop entries', async () => {
  expect((await log('show', 'flights')).stderr).toBe('');
  const columns = 'replica, incarnation, watermark, dropped, received_at';
  await tamperWith(
    database,
    `insert into profile_reporters (${columns}) values ('one', 'a', null, 2, 0), ('one', 'b', null, 1, 0), ('two', 'c', null, 0, 0)`,
  );
  const { stderr } = await log('show', 'flights');
  expect(stderr).toContain('the model server one had to drop 3 entries of its log, of all models');
  expect(stderr).not.toContain('two');
  expect((await log('show', 'flights', '--json')).json).toMatchObject({
    dropping_servers: [{ replica: 'one', dropped: 3 }],
  });
});

it('makes the log forget, and says what it does not cover', async () => {
  const bad = await log('forget', '--key', 'distance', '--reason', 'asked to');
  expect([bad.status, bad.stderr]).toEqual([2, expect.stringContaining('column=value')]);
  expect((await log('forget', '--key', 'distance=7')).status).toBe(2);
  const done = await log('forget', '--key', 'distance=7', '--model', 'flights', '--reason', 'asked to');
  expect(done.stdout).toContain('forgot 1 prediction and 1 label');
  expect(done.stderr).toContain('rows that arrive later are new');
  expect(done.stderr).toContain('profiles and windows stay');
  const again = await log('forget', '--key', 'distance=7', '--reason', 'asked to');
  expect(again.stdout).toContain('no prediction has distance=7; nothing was forgotten');
  expect((await log('query', 'select count(*) as n from flights', '--json')).json.rows).toEqual([[89]]);
  expect((await log('show', 'flights')).stdout).toContain('1 prediction forgotten');
});
