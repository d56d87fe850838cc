import { EventEmitter } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { tempDir } from '../tests/support/index.ts';
import type { ModelServerOptions } from './main.ts';
import { type ParentChannel, runModelServerProcess } from './run-model-server-process.ts';
import type { ChildMessage } from './supervise-child.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A control plane that wants nothing served. */
async function emptyControlPlane(): Promise<string> {
  const server = createServer((request, response) => {
    if (request.headers['if-none-match'] !== undefined) return;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ revision: '0', models: [], not_servable: [] }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

function createChannel() {
  const messages: ChildMessage[] = [];
  const waiting = new Map<string, (message: any) => void>();
  const channel = Object.assign(new EventEmitter(), {
    send(message: ChildMessage) {
      messages.push(message);
      waiting.get(message.type)?.(message);
    },
  }) as ParentChannel;
  const heard = <T extends ChildMessage['type']>(type: T) =>
    new Promise<Extract<ChildMessage, { type: T }>>((resolve) => waiting.set(type, resolve));
  return { channel, messages, heard };
}

const optionsIn = (cacheDir: string): ModelServerOptions => ({
  cacheDir,
  host: '127.0.0.1',
  port: 0,
  allowInsecure: false,
  clockKind: 'wall' as const,
  version: '0.1.0',
});

describe('runModelServerProcess', () => {
  it('stops when its parent has died by the time that it listens', async () => {
    const channel = new EventEmitter() as ParentChannel;
    channel.send = (_message, onSent) => {
      const error = new Error('Channel closed');
      // As Node does it.
      if (onSent as unknown) onSent(error);
      else channel.emit('error', error);
      channel.emit('disconnect');
    };
    const status = runModelServerProcess({
      channel,
      options: Promise.resolve(optionsIn(join(tempDir(), 'serving'))),
      controlPlaneUrl: new Promise(() => {}),
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
    });
    expect(await status).toBe(0);
  });

  it('listens at once, is ready when the control plane is known, and stops when told', async () => {
    const { channel, heard } = createChannel();
    const controlPlane = Promise.withResolvers<string>();
    const status = runModelServerProcess({
      channel,
      options: Promise.resolve(optionsIn(join(tempDir(), 'serving'))),
      controlPlaneUrl: controlPlane.promise,
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
    });
    const [ready, { url }] = [heard('ready'), await heard('listening')];
    expect((await fetch(`${url}/ready`)).status).toBe(503);
    controlPlane.resolve(await emptyControlPlane());
    await ready;
    expect((await fetch(`${url}/ready`)).status).toBe(200);
    channel.emit('SIGINT');
    channel.emit('message', { type: 'stop' });
    expect(await status).toBe(0);
    await expect(fetch(`${url}/ready`)).rejects.toThrow('fetch failed');
  });

  it('ends when the parent is gone before it said anything', async () => {
    const { channel } = createChannel();
    const never = new Promise<never>(() => {});
    const status = runModelServerProcess({ channel, options: never, controlPlaneUrl: never, env: {} });
    channel.emit('disconnect');
    expect(await status).toBe(0);
  });

  it('stops at once also while the control plane is not known yet', async () => {
    const { channel, heard } = createChannel();
    const status = runModelServerProcess({
      channel,
      options: Promise.resolve(optionsIn(join(tempDir(), 'serving'))),
      controlPlaneUrl: new Promise<never>(() => {}),
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
    });
    await heard('listening');
    channel.emit('message', { type: 'stop' });
    expect(await status).toBe(0);
  });

  it('says why it cannot start, with status 1', async () => {
    const { channel, messages } = createChannel();
    const taken = Number(new URL(await emptyControlPlane()).port);
    const status = await runModelServerProcess({
      channel,
      options: Promise.resolve({ ...optionsIn(join(tempDir(), 'serving')), port: taken }),
      controlPlaneUrl: new Promise<never>(() => {}),
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
    });
    expect(status).toBe(1);
    expect(messages).toEqual([{ type: 'failed', message: expect.stringContaining(`Port ${taken}`) }]);
    expect(messages[0]).toHaveProperty('message', expect.stringContaining('--serve-port'));
  });
});
