import { expect, it, vi } from 'vitest';
import { createReaderPool } from './reader-pool.ts';
import type { ThreadClient } from './thread-client.ts';

/** A thread that answers when the test says so. */
function createHeldThread() {
  const held: { sql: string; answer: (rows: string) => void }[] = [];
  const thread: ThreadClient = {
    get pending() {
      return held.length;
    },
    opened: Promise.resolve([]),
    call: (request) =>
      new Promise((resolve) => {
        const entry = {
          sql: request['sql'] as string,
          answer: (rows: string) => {
            held.splice(held.indexOf(entry), 1);
            resolve(rows);
          },
        };
        held.push(entry);
      }),
    close: async () => {},
  };
  return { held, thread };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

it('a slow read holds up no read that comes later', async () => {
  const threads = [createHeldThread(), createHeldThread()];
  let started = 0;
  const pool = createReaderPool({
    most: 2,
    start: () => (threads[started++] as (typeof threads)[0]).thread,
    patienceMs: 1,
  });
  const slow = pool.run('slow', []);
  await turn();
  expect(started).toBe(1);
  for (let i = 0; i < 5; i++) {
    const fast = pool.run(`fast ${i}`, []);
    await vi.waitFor(() => expect(threads[1]?.held).toHaveLength(1));
    expect(threads[0]?.held.map((read) => read.sql)).toEqual(['slow']);
    threads[1]?.held[0]?.answer(`rows ${i}`);
    expect(await fast).toBe(`rows ${i}`);
  }
  threads[0]?.held[0]?.answer('at last');
  expect(await slow).toBe('at last');
});

it('quick reads start no second thread', async () => {
  const { held, thread } = createHeldThread();
  let started = 0;
  const pool = createReaderPool({
    most: 2,
    start: () => {
      started += 1;
      return thread;
    },
    patienceMs: 60_000,
  });
  const reads = [1, 2, 3, 4, 5].map((each) => pool.run(`read ${each}`, []));
  while (started === 1 && held.length === 0) await turn();
  for (const [index, read] of reads.entries()) {
    await vi.waitFor(() => expect(held).not.toHaveLength(0));
    held[0]?.answer(`rows ${index + 1}`);
    expect(await read).toBe(`rows ${index + 1}`);
  }
  expect(started).toBe(1);
  await pool.close(new Error('closed'));
});

it('reads that still wait when it closes are refused', async () => {
  const { held, thread } = createHeldThread();
  const pool = createReaderPool({ most: 1, start: () => thread });
  const running = pool.run('running', []);
  await turn();
  const waiting = pool.run('waiting', []);
  await turn();
  expect(held.map((read) => read.sql)).toEqual(['running']);
  const closed = pool.close(new Error('closed'));
  await expect(waiting).rejects.toThrow('closed');
  held[0]?.answer('rows');
  expect(await running).toBe('rows');
  await closed;
});
