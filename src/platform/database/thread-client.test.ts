import type { MessagePort } from 'node:worker_threads';
import { describe, expect, it, vi } from 'vitest';
import { startThread } from './thread-client.ts';
import { post } from './thread-messages.ts';

const options = {
  name: 'writer',
  timeoutMs: 50,
  schedule: setImmediate,
  onFatal: vi.fn<(error: Error) => void>(),
};
const echo = (port: MessagePort) =>
  port.on('message', (requests: { id: number; text: string }[]) => {
    post(
      port,
      requests.map(({ id, text }) => ({ id, output: text })),
    );
  });

describe('calls into a thread', () => {
  it('travel together when they come together', async () => {
    const sizes: number[] = [];
    const thread = startThread(
      {
        serve: (port) => {
          port.on('message', (requests: unknown[]) => sizes.push(requests.length));
          echo(port);
        },
      },
      options,
    );
    expect(await Promise.all(['a', 'b', 'c'].map((text) => thread.call({ text })))).toEqual(['a', 'b', 'c']);
    expect(sizes).toEqual([3]);
    expect(thread.pending).toBe(0);
  });

  it('fail alone where a request cannot be sent', async () => {
    const thread = startThread({ serve: echo }, options);
    const outcomes = await Promise.allSettled([thread.call({ text: 'a' }), thread.call({ text: () => 1 })]);
    expect(outcomes).toMatchObject([{ value: 'a' }, { reason: { name: 'DataCloneError' } }]);
  });

  it('fail when the answer takes too long', async () => {
    const thread = startThread({ serve: () => {} }, options);
    await expect(thread.call({ text: 'a' })).rejects.toThrow(
      "The database's writer did not answer within 50 ms; it may still do what was asked",
    );
    expect(thread.pending).toBe(0);
  });

  it('are refused when too many wait', async () => {
    const thread = startThread({ serve: () => {} }, options);
    const waiting = Array.from({ length: 20_000 }, () => thread.call({}));
    await expect(thread.call({})).rejects.toThrow('20000 calls already wait for the database');
    expect((await Promise.allSettled(waiting)).every((each) => each.status === 'rejected')).toBe(true);
  });

  it('are rejected in words when the thread dies, and the process is told once', async () => {
    const onFatal = vi.fn<(error: Error) => void>();
    const thread = startThread(
      {
        worker: new URL('data:text/javascript,setTimeout(() => { throw new Error("boom") }, 50)'),
        workerData: {},
      },
      { ...options, onFatal, timeoutMs: 30_000 },
    );
    const stopped =
      "The database's writer thread stopped: boom. Start Tidemill again; what was acknowledged is on disk.";
    await expect(thread.call({ text: 'a' })).rejects.toThrow(stopped);
    await expect(thread.opened).rejects.toThrow(stopped);
    await expect(thread.call({ text: 'b' })).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' });
    expect(onFatal).toHaveBeenCalledTimes(1);
    await thread.close();
  });
});
