import { once } from 'node:events';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { createTestApp, postJson } from '../../../tests/support/test-app.ts';
import { addHotRoute, stopGracefully } from '../index.ts';

/** A handler that waits until it is let go, and tells when a request has come. */
function createGate() {
  const arrived = Promise.withResolvers<void>();
  const open = Promise.withResolvers<void>();
  const handler = async () => {
    arrived.resolve();
    await open.promise;
    return { finished: true };
  };
  return { handler, arrived: arrived.promise, open: open.resolve };
}

it.each(['/slow', '/hot'])('lets a request of %s finish, and takes no new ones', async (path) => {
  const { app, start } = createTestApp();
  const gate = createGate();
  app.post('/slow', gate.handler);
  addHotRoute(app, { url: '/hot', handler: gate.handler });
  const url = await start();
  const answer = fetch(`${url}${path}`, postJson({}));
  await gate.arrived;
  const stopped = stopGracefully(app);
  expect(app.stopSignal.aborted).toBe(true);
  expect(stopGracefully(app)).toBe(stopped);
  await expect(fetch(`${url}/metrics`)).rejects.toThrow('fetch failed');
  gate.open();
  expect(await (await answer).json()).toEqual({ finished: true });
  await stopped;
});

it('ends long polls by the signal, closes idle connections, and then runs the hooks', async () => {
  const { app, start } = createTestApp();
  const closed: string[] = [];
  app.addHook('onClose', async () => {
    closed.push('hook');
  });
  app.get('/poll', async () => {
    if (!app.stopSignal.aborted) await once(app.stopSignal, 'abort');
    return { changed: false };
  });
  const url = await start();
  const idle = connect(Number(new URL(url).port), '127.0.0.1');
  await once(idle, 'connect');
  const idleClosed = once(idle, 'close');
  const poll = fetch(`${url}/poll`);
  await once(app.server, 'request');
  await stopGracefully(app, { graceMs: 20_000 });
  expect(await (await poll).json()).toEqual({ changed: false });
  await idleClosed;
  expect(closed).toEqual(['hook']);
});

it('cuts requests that do not finish in time', async () => {
  const { app, log, start } = createTestApp();
  const gate = createGate();
  app.get('/stuck', gate.handler);
  const url = await start();
  const answer = fetch(`${url}/stuck`).catch((error: Error) => error.message);
  await gate.arrived;
  await stopGracefully(app, { graceMs: 10 });
  expect(await answer).toBe('fetch failed');
  expect(log).toContainEqual(expect.objectContaining({ level: 'warn', grace_ms: 10 }));
  gate.open();
});

it('answers as unready for a while first, when it is told to', async () => {
  const { app, start } = createTestApp();
  app.get('/ready', (_, reply) => reply.code(app.stopSignal.aborted ? 503 : 200).send({}));
  const url = await start();
  expect((await fetch(`${url}/ready`)).status).toBe(200);
  const stopped = stopGracefully(app, { unreadyMs: 300 });
  expect((await fetch(`${url}/ready`)).status).toBe(503);
  await stopped;
  await expect(fetch(`${url}/ready`)).rejects.toThrow('fetch failed');
});

it('stops an app that never listened', async () => {
  const { app } = createTestApp();
  await stopGracefully(app);
  expect(app.server.listening).toBe(false);
});
