import { expect, test } from 'vitest';
import { silentLogger } from '../tests/support/index.ts';
import { createRunLoop, type LoopPart } from './run-loop.ts';

const signal = new AbortController().signal;

function partOf(advance: () => Promise<boolean>, name = 'part'): LoopPart {
  return { name, advance: async () => ({ didSomething: await advance() }) };
}

test('goes on at once while there is something to do, and settles when there is not', async () => {
  let left = 3;
  let passes = 0;
  const loop = createRunLoop({
    parts: [
      partOf(async () => {
        passes += 1;
        left = Math.max(0, left - 1);
        return left > 0;
      }),
    ],
    clock: { now: () => 1000 },
    logger: silentLogger,
    isBusy: () => false,
    everyMs: 1_000_000,
  });
  loop.begin();
  await loop.waitUntilSettled(1000, 10_000, signal);
  expect(loop.status().settledUntil).toBe(1000);
  expect(passes).toBe(3);
  await loop.stop();
});

test('is not settled while a job runs, and looks again when it ends', async () => {
  let busy = true;
  let seen = 0;
  const firstPass = Promise.withResolvers<void>();
  const loop = createRunLoop({
    parts: [
      partOf(async () => {
        seen += 1;
        firstPass.resolve();
        return false;
      }),
    ],
    clock: { now: () => 5 },
    logger: silentLogger,
    isBusy: () => busy,
    everyMs: 1_000_000,
  });
  loop.begin();
  await firstPass.promise;
  expect(loop.status().settledUntil).toBeUndefined();
  busy = false;
  loop.poke();
  await loop.waitUntilSettled(5, 10_000, signal);
  expect(loop.status().settledUntil).toBe(5);
  expect(seen).toBeGreaterThanOrEqual(2);
  await loop.stop();
});

test('is not settled before the clock tells the time of events', async () => {
  let hasBegun = false;
  let passes = 0;
  const loop = createRunLoop({
    parts: [
      partOf(async () => {
        passes += 1;
        return false;
      }),
    ],
    clock: { now: () => 2_000_000 },
    logger: silentLogger,
    isBusy: () => false,
    hasBegun: () => hasBegun,
    everyMs: 1,
  });
  loop.begin();
  await loop.waitUntilSettled(7, 20, signal);
  expect(passes).toBeGreaterThan(0);
  expect(loop.status().settledUntil).toBeUndefined();
  hasBegun = true;
  await loop.waitUntilSettled(7, 10_000, signal);
  expect(loop.status().settledUntil).toBe(2_000_000);
  await loop.stop();
});

test('a part that fails keeps nobody from their turn, and is told', async () => {
  let turns = 0;
  const second = Promise.withResolvers<void>();
  const loop = createRunLoop({
    parts: [
      {
        name: 'broken',
        advance: async () => {
          throw new Error('no disk');
        },
      },
      partOf(async () => {
        turns += 1;
        second.resolve();
        return false;
      }, 'sound'),
    ],
    clock: { now: () => 1 },
    logger: silentLogger,
    isBusy: () => false,
    everyMs: 1_000_000,
  });
  loop.begin();
  await second.promise;
  await loop.stop();
  expect(turns).toBe(1);
  expect(loop.status()).toEqual({ settledUntil: undefined, problems: { broken: 'no disk' } });
});

test('a process whose turn it is not does nothing', async () => {
  let turns = 0;
  const asked = Promise.withResolvers<void>();
  const loop = createRunLoop({
    parts: [
      partOf(async () => {
        turns += 1;
        return false;
      }),
    ],
    clock: { now: () => 1 },
    logger: silentLogger,
    isBusy: () => false,
    isMine: async () => {
      asked.resolve();
      return false;
    },
    everyMs: 1_000_000,
  });
  loop.begin();
  await asked.promise;
  await loop.stop();
  expect(turns).toBe(0);
});
