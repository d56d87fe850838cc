import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeDatabases, silentLogger } from '../../../tests/support/index.ts';
import { tamperWith } from '../../../tests/support/test-database.ts';
import type { Database } from '../../platform/index.ts';
import { createMessenger } from './deliver-messages.ts';
import { createOutboxStore } from './outbox-store.ts';

describeDatabases('webhooks', (openDatabase) => {
  let database: Database;
  let server: Server;
  let calls: string[];
  let answer: () => number | 'never';
  let now: number;

  beforeEach(async () => {
    database = await openDatabase();
    calls = [];
    now = 1_000_000;
    server = createServer((request, response) => {
      calls.push(String(request.headers['idempotency-key']));
      request.resume();
      const status = answer();
      if (status !== 'never') response.writeHead(status).end('x');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
    await tamperWith(
      database,
      `insert into monitor_outbox (id, alarm_id, url, form, body, attempts, next_at, state, last_error)
       values ('7/open/0', 7, '${url}', 'json', '{}', 0, 0, 'waiting', null)`,
    );
  });

  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  const messenger = (change = {}) =>
    createMessenger({ database, logger: silentLogger, nowMs: () => now, firstRetryMs: 1000, ...change });
  const rows = () => createOutboxStore(database.reader).list(7);

  it('are tried again after longer and longer waits, and delivered once', async () => {
    answer = () => (calls.length < 3 ? 503 : 204);
    const sender = messenger();
    const pass = async () => {
      sender.poke();
      await sender.idle();
      return calls.length;
    };
    expect(await pass()).toBe(1);
    expect(await rows()).toMatchObject([{ state: 'waiting', attempts: 1, last_error: 'it answered 503' }]);
    expect(await pass()).toBe(1);
    now += 1000;
    expect(await pass()).toBe(2);
    now += 1000;
    expect(await pass()).toBe(2);
    now += 1000;
    expect(await pass()).toBe(3);
    expect(await rows()).toMatchObject([{ state: 'delivered', attempts: 3, last_error: null }]);
    now += 1e9;
    expect(await pass()).toBe(3);
    expect(new Set(calls)).toEqual(new Set(['7/open/0']));
    await sender.stop();
  });

  it('give up a receiver that does not answer in time, for now', async () => {
    answer = () => 'never';
    const sender = messenger({ timeoutMs: 50 });
    sender.poke();
    await sender.idle();
    expect(await rows()).toMatchObject([{ state: 'waiting', attempts: 1 }]);
    expect((await rows())[0]!.last_error).toMatch(/timeout/i);
    await sender.stop();
  });

  it('stop at once, and what was under way is tried again by the next start', async () => {
    const arrived = Promise.withResolvers<void>();
    answer = () => {
      arrived.resolve();
      return 'never';
    };
    const sender = messenger();
    sender.poke();
    await arrived.promise;
    await sender.stop();
    expect(await rows()).toMatchObject([{ state: 'waiting', attempts: 0 }]);
    answer = () => 200;
    const next = messenger();
    next.poke();
    await next.idle();
    expect(await rows()).toMatchObject([{ state: 'delivered' }]);
    await next.stop();
  });
});
