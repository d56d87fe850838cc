import type { ChildProcess } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { silentLogger, tempDir } from '../../../../tests/support/index.ts';
import type { QueryOrder } from './query-messages.ts';
import { createQueryProcesses } from './query-processes.ts';

/** Processes that come up when told. */
function slowProcesses() {
  const children: ChildProcess[] = [];
  const sent = vi.fn<(message: unknown) => void>();
  const fork = () => {
    const child = Object.assign(new EventEmitter(), {
      pid: children.length + 1,
      connected: true,
      send: sent,
      kill: () => child.emit('exit', null, 'SIGKILL'),
    });
    children.push(child as unknown as ChildProcess);
    return child as unknown as ChildProcess;
  };
  const processes = createQueryProcesses({
    setUp: { hotFolder: '', memoryLimitMb: 1, processLimitMb: 1, threads: 1 },
    workFolder: join(tempDir(), 'log'),
    logger: silentLogger,
    fork,
  });
  return { children, sent, processes };
}

const order = {} as QueryOrder;

it('heeds the signal and the time limit of a query while its process starts, which serves the next one', async () => {
  const { children, sent, processes } = slowProcesses();
  const asking = new AbortController();
  const asked = processes.run(order, { timeoutMs: 300_000, signal: asking.signal });
  asking.abort(new Error('nobody waits'));
  await expect(asked).rejects.toThrow('nobody waits');
  await expect(processes.run(order, { timeoutMs: 1 })).rejects.toMatchObject({
    code: 'TEMPORARILY_UNAVAILABLE',
    message: 'The query took longer than 0.001 s, because its process was still starting; ask again',
  });
  const next = processes.run(order, { timeoutMs: 300_000 });
  expect(children.length).toBe(1);
  const [child] = children as [ChildProcess];
  child.emit('message', { ready: true });
  await vi.waitFor(() => expect(sent).toHaveBeenCalledWith(order, expect.any(Function)));
  child.emit('message', { answer: '[1]', isSpent: false });
  expect(await next).toBe('[1]');
  await processes.close();
  expect(processes.pids()).toEqual([]);
});

it('asks no process for a query that nobody waits for', async () => {
  const { children, processes } = slowProcesses();
  const signal = AbortSignal.abort(new Error('nobody waits'));
  await expect(processes.run(order, { timeoutMs: 300_000, signal })).rejects.toThrow('nobody waits');
  expect(children).toEqual([]);
});

it('does not offer a process again that did not come up', async () => {
  const { children, processes } = slowProcesses();
  const asked = processes.run(order, { timeoutMs: 300_000 });
  children[0]?.emit('exit', 1, null);
  await expect(asked).rejects.toThrow('The process for queries of the log did not start (exit code 1)');
  const next = processes.run(order, { timeoutMs: 300_000 });
  expect(children.length).toBe(2);
  await Promise.all([expect(next).rejects.toThrow('did not start (SIGKILL)'), processes.close()]);
});
