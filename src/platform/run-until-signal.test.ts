import { EventEmitter } from 'node:events';
import { expect, it, vi } from 'vitest';
import { silentLogger } from '../../tests/support/index.ts';
import { runUntilSignal } from './index.ts';

function fakeProcess() {
  return Object.assign(new EventEmitter(), { ppid: 100 });
}

it.each(['SIGTERM', 'SIGINT', 'disconnect'])('stops once on %s and gives 0', async (event) => {
  const source = fakeProcess();
  const stop = vi.fn<() => Promise<void>>(async () => {});
  const done = runUntilSignal({ stop, logger: silentLogger, source });
  source.emit(event);
  source.emit('disconnect');
  expect(await done).toBe(0);
  expect(stop).toHaveBeenCalledTimes(1);
  expect(source.eventNames()).toEqual([]);
});

it('gives up at the second signal', async () => {
  const source = fakeProcess();
  const done = runUntilSignal({ stop: () => new Promise(() => {}), logger: silentLogger, source });
  source.emit('SIGTERM');
  source.emit('SIGINT');
  expect(await done).toBe(130);
});

it('gives 1 when stopping fails', async () => {
  const source = fakeProcess();
  const done = runUntilSignal({ stop: () => Promise.reject(new Error('no')), logger: silentLogger, source });
  source.emit('SIGTERM');
  expect(await done).toBe(1);
});

it('stops when the parent changes, where it is told to watch it', async () => {
  const source = fakeProcess();
  const done = runUntilSignal({
    stop: async () => {},
    logger: silentLogger,
    source,
    watchParent: true,
    parentCheckMs: 1,
  });
  source.ppid = 1;
  expect(await done).toBe(0);
});
