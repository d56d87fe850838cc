import { once } from 'node:events';
import { connect } from 'node:net';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { createTestApp, postJson } from '../../../tests/support/test-app.ts';
import { acceptStreams, type StreamLimits, streamOf } from '../index.ts';

function uploadApp(limits: StreamLimits) {
  const test = createTestApp({ bodyLimitBytes: 10 });
  const failure = Promise.withResolvers<unknown>();
  void test.app.register(async (scope) => {
    acceptStreams(scope, limits);
    scope.put('/upload', async (request) => {
      const body = await buffer(streamOf(request)).catch((error: unknown) => {
        failure.resolve(error);
        throw error;
      });
      return { bytes: body.length };
    });
    scope.put('/ignores', async () => {
      throw new Error('fails before it reads');
    });
    scope.put('/leaves', async () => ({ read: false }));
  });
  test.app.post('/json', (request) => request.body);
  return { ...test, failure: failure.promise };
}

const put = (size: number, headers: Record<string, string> = {}) => ({
  method: 'PUT',
  body: Buffer.alloc(size, 1),
  headers,
});

describe('a streamed body', () => {
  it('has any type and no limit of memory, and an empty one is none', async () => {
    const { start } = uploadApp({ maxBytes: 5_000_000 });
    const url = await start();
    for (const type of [
      'application/octet-stream',
      'text/csv',
      'application/json',
      'application/x-anything',
    ]) {
      const answer = await fetch(`${url}/upload`, put(1_000_000, { 'content-type': type }));
      expect(await answer.json()).toEqual({ bytes: 1_000_000 });
    }
    expect(await (await fetch(`${url}/upload`, put(1_000_000))).json()).toEqual({ bytes: 1_000_000 });
    expect(await (await fetch(`${url}/upload`, { method: 'PUT' })).json()).toEqual({ bytes: 0 });
  });

  it('leaves the other routes as they were', async () => {
    const { start } = uploadApp({ maxBytes: 5_000_000 });
    const url = await start();
    expect((await fetch(`${url}/json`, postJson({ a: 1 }))).status).toBe(200);
    expect((await fetch(`${url}/json`, postJson({ a: 'x'.repeat(20) }))).status).toBe(413);
    expect((await fetch(`${url}/json`, { method: 'POST', body: 'x' })).status).toBe(415);
  });

  it('is refused when it is too large, told or not, and the connection lives on', async () => {
    const { start } = uploadApp({ maxBytes: 100_000 });
    const url = await start();
    for (let i = 0; i < 2; i++) {
      const told = await fetch(`${url}/upload`, put(100_001));
      expect(await told.json()).toMatchObject({
        error_code: 'PAYLOAD_TOO_LARGE',
        message: expect.stringContaining('100000 bytes'),
      });
      const body = new Blob([Buffer.alloc(1_000_000)]).stream();
      const untold = await fetch(`${url}/upload`, { method: 'PUT', body, duplex: 'half' } as RequestInit);
      expect(untold.status).toBe(413);
      expect(await (await fetch(`${url}/upload`, put(100_000))).json()).toEqual({ bytes: 100_000 });
    }
  });

  it('that nobody reads holds nothing up', async () => {
    const { start } = uploadApp({ maxBytes: 50_000_000 });
    const url = await start();
    for (let i = 0; i < 3; i++) {
      expect((await fetch(`${url}/ignores`, put(3_000_000))).status).toBe(500);
      expect(await (await fetch(`${url}/upload`, put(10))).json()).toEqual({ bytes: 10 });
    }
  });

  it('fails for its reader when the client goes away', async () => {
    const { failure, start, app } = uploadApp({ maxBytes: 1e9 });
    const socket = connect(Number(new URL(await start()).port), '127.0.0.1');
    socket.write('PUT /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nabc');
    await once(app.server, 'request');
    socket.destroy();
    expect(await failure).toBeInstanceOf(Error);
  });

  it('fails for its reader when nothing more arrives', async () => {
    const { start } = uploadApp({ maxBytes: 1e9, stallTimeoutMs: 20 });
    const socket = connect(Number(new URL(await start()).port), '127.0.0.1');
    socket.write('PUT /upload HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nabc');
    const [answer] = await once(socket, 'data');
    expect(answer.toString()).toContain('400 Bad Request');
    expect(answer.toString()).toContain('Nothing of the body arrived for 20 ms');
    socket.destroy();
  });
});

it('drops a client that takes nothing of its answer, and none that takes it slowly', async () => {
  const { app, start } = createTestApp({ stallTimeoutMs: 200 });
  app.get('/large', (_, reply) => reply.type('text/plain').send('x'.repeat(50_000_000)));
  const url = await start();
  const accepted = once(app.server, 'connection');
  const lazy = connect(Number(new URL(url).port), '127.0.0.1');
  lazy.pause();
  lazy.write('GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n');
  const [connection] = await accepted;
  await once(connection, 'close');
  expect(connection.destroyed).toBe(true);
  lazy.destroy();
  expect((await (await fetch(`${url}/large`)).text()).length).toBe(50_000_000);
});
