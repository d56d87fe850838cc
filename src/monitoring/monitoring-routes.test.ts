import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { InjectOptions } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger } from '../../tests/support/index.ts';
import { createTestApp } from '../../tests/support/test-app.ts';
import {
  DAY_MS,
  entryOf,
  HOUR_MS,
  registerWatched,
  writeReference,
} from '../../tests/support/watched-model.ts';
import { type App, createMetrics, type Database } from '../platform/index.ts';
import { createMonitoring, type Monitoring } from './create-monitoring.ts';
import { type MonitorPolicy, monitorPolicySchema } from './monitor-policy.ts';
import { monitoringRoutes } from './monitoring-routes.ts';

const FIRST_DAY = 20_000;
const { spec, path: referencePath } = writeReference();

/** What a webhook received, and how it answers the next calls. */
interface Receiver {
  url: string;
  bodies: Record<string, any>[];
  /** Settles when so many calls have come. */
  received(count: number): Promise<void>;
}

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function startReceiver(answer: (count: number) => number | 'never'): Promise<Receiver> {
  const bodies: Record<string, any>[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const read = async (request: IncomingMessage) => {
    let text = '';
    for await (const chunk of request) text += String(chunk);
    return JSON.parse(text) as Record<string, any>;
  };
  const server = createServer((request, response) => {
    void read(request).then((body) => {
      bodies.push(body);
      const status = answer(bodies.length);
      if (status !== 'never') response.writeHead(status).end();
      for (const each of waiting) if (bodies.length >= each.count) each.resolve();
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    bodies,
    received: (count) =>
      bodies.length >= count ? Promise.resolve() : new Promise((resolve) => waiting.push({ count, resolve })),
  };
}

describeDatabases('monitoring over HTTP', (openDatabase) => {
  let database: Database;
  let clock: ReturnType<typeof fixedClock>;
  let policy: MonitorPolicy;
  let monitoring: Monitoring;
  let app: App;

  beforeEach(async () => {
    database = await openDatabase();
    clock = fixedClock(FIRST_DAY * DAY_MS);
    policy = monitorPolicySchema.parse({});
    await registerWatched(database, 'flights', 1);
    monitoring = createMonitoring({
      database,
      clock,
      logger: silentLogger,
      metrics: createMetrics(),
      files: { referencePath: async () => referencePath },
      log: {
        measureWindows: async ({ windows }) =>
          windows.map((window) => ({
            ...window,
            rows: 600,
            labelled: 0,
            value: undefined,
            loss: undefined,
            baseline: undefined,
          })),
      },
      policyOf: async () => policy,
      settleMs: 0,
    });
    ({ app } = createTestApp({ clock }));
    monitoringRoutes({ monitoring })(app);
    await app.ready();
    return () => monitoring.stop();
  });

  async function ask(method: InjectOptions['method'], url: string, payload?: object) {
    const headers = { 'x-tidemill-actor': 'ada' };
    const response = await app.inject({ method, url, headers, ...(payload ? { payload } : {}) });
    return { status: response.statusCode, body: response.json() as Record<string, any> };
  }

  async function live(index: number, missing = 0): Promise<void> {
    const entry = entryOf(spec, { day: FIRST_DAY + index, seed: 500 + index, rows: 600, missing });
    const { status } = await ask('PUT', '/api/v1/serving/profiles/replica-1/a', {
      watermark: entry.hour,
      dropped: 0,
      entries: [entry],
    });
    expect(status).toBe(200);
    clock.advance((FIRST_DAY + index + 1) * DAY_MS + HOUR_MS - clock.now());
    await monitoring.advance();
  }

  it('takes profiles, and tells windows and alarms', async () => {
    await live(0);
    await live(1, 0.9);
    const windows = await ask('GET', '/api/v1/models/flights/windows');
    expect(windows).toMatchObject({
      status: 200,
      body: {
        model: 'flights',
        windows: [
          {
            from: (FIRST_DAY + 1) * DAY_MS,
            version: '1',
            state: 'tested',
            rows: 600,
            late_rows: 0,
            tests: [{ column: 'amount', aspect: 'missing', drifted: true, p: 1e-12 }],
          },
          { tests: [] },
        ],
      },
    });
    const all = await ask('GET', '/api/v1/models/flights/windows?tests=all');
    expect(all.body['windows'][1].tests).toHaveLength(7);
    const none = await ask('GET', '/api/v1/models/flights/windows?tests=none&limit=1');
    expect(none.body['windows'][0].tests).toBeUndefined();
    expect(none.body).toMatchObject({ windows: [{ version: '1' }], has_older: true });
    expect(all.body).toMatchObject({ has_older: false });
    for (const url of ['/api/v1/alarms?state=open', '/api/v1/models/flights/alarms']) {
      expect(await ask('GET', url), url).toMatchObject({
        status: 200,
        body: {
          alarms: [
            {
              id: 1,
              model: 'flights',
              kind: 'drift',
              column: 'amount',
              state: 'open',
              text: expect.stringContaining(
                'missing values of amount differ from the reference on 2024-10-05',
              ),
              evidence: { reference_rows: 20_000 },
            },
          ],
        },
      });
    }
    expect(await ask('GET', '/api/v1/models/nobody/windows')).toMatchObject({ status: 404 });
    expect(await ask('GET', '/api/v1/alarms/17')).toMatchObject({ status: 404 });
  });

  it('tells with windows and alarms that drift is not tested', async () => {
    await live(0);
    for (const url of ['/api/v1/alarms', '/api/v1/models/flights/alarms'])
      expect((await ask('GET', url)).body).toEqual({ alarms: [], untested: [] });
    expect((await ask('GET', '/api/v1/models/flights/windows')).body['untested']).toBeUndefined();
    const small = { day: FIRST_DAY + 1, seed: 1, rows: 10 };
    for (const after of [0, 31]) {
      const entry = entryOf(spec, { ...small, day: small.day + after });
      await ask('PUT', '/api/v1/serving/profiles/replica-1/a', {
        watermark: entry.hour,
        dropped: 0,
        entries: [entry],
      });
    }
    clock.advance(70 * DAY_MS);
    await monitoring.advance();
    const run = { windows: 2, since: (FIRST_DAY + 1) * DAY_MS, state: 'too small' };
    for (const url of ['/api/v1/alarms', '/api/v1/models/flights/alarms'])
      expect((await ask('GET', url)).body).toEqual({ alarms: [], untested: [{ model: 'flights', ...run }] });
    expect((await ask('GET', '/api/v1/models/flights/windows')).body['untested']).toEqual(run);
  });

  it('acknowledges and closes an alarm for who asks, with a reason', async () => {
    await live(0, 0.9);
    expect(await ask('POST', '/api/v1/alarms/1/acknowledge', {})).toMatchObject({
      status: 200,
      body: { acknowledged_by: 'ada', state: 'open' },
    });
    expect(await ask('POST', '/api/v1/alarms/1/close', {})).toMatchObject({ status: 400 });
    expect(await ask('POST', '/api/v1/alarms/1/close', { reason: 'mended' })).toMatchObject({
      status: 200,
      body: { state: 'closed', closed_by: 'ada', close_reason: 'mended' },
    });
  });

  it('refuses a profile report that is none', async () => {
    expect(await ask('PUT', '/api/v1/serving/profiles/replica-1/a', { entries: [] })).toMatchObject({
      status: 400,
    });
  });

  it('refuses counts that nobody counted, whose sums would be no numbers any more', async () => {
    const entry = entryOf(spec, { day: FIRST_DAY, seed: 1, rows: 10 });
    for (const wrong of [{ answered: Number.MAX_SAFE_INTEGER }, { answered: -1 }, { failed: 1e15 }]) {
      const report = { watermark: null, dropped: 0, entries: [{ ...entry, ...wrong }] };
      const { status } = await ask('PUT', '/api/v1/serving/profiles/replica-1/a', report);
      expect(status).toBe(400);
    }
  });

  it('tells webhooks of alarms in their form, again when they fail, and is held up by none', async () => {
    const flaky = await startReceiver((count) => (count === 1 ? 500 : 200));
    const silent = await startReceiver(() => 'never');
    const slack = await startReceiver(() => 200);
    policy = monitorPolicySchema.parse({
      webhooks: [{ url: flaky.url }, { url: silent.url }, { url: slack.url, form: 'slack' }],
    });
    // The receiver that never answers does not keep the pass from ending.
    await live(0, 0.9);
    await Promise.all([flaky.received(1), silent.received(1), slack.received(1)]);
    expect(flaky.bodies[0]).toMatchObject({
      event: 'alarm.open',
      alarm: { model: 'flights', column: 'amount', state: 'open' },
    });
    expect(slack.bodies[0]!['text']).toMatch(/^Alarm: flights 1: missing values of amount differ/);
    expect(Object.keys(slack.bodies[0]!)).toEqual(['text', 'blocks']);
    await monitoring.close(1, { actor: 'ada', reason: 'mended' });
    await slack.received(2);
    expect(slack.bodies[1]!['text']).toMatch(/^Over: flights 1/);
  });
});
