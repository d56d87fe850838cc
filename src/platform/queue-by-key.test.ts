import { expect, it } from 'vitest';
import { createKeyedQueue } from './queue-by-key.ts';

const started = () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { work: () => promise, end: resolve };
};

it('runs the works of one key in their order, beside those of other keys, and forgets keys that are done', async () => {
  const queued = createKeyedQueue();
  const first = started();
  const order: string[] = [];
  const one = queued('a', first.work).then((value) => order.push(value));
  const two = queued('a', () => Promise.reject(new Error('broken')));
  const three = queued('a', async () => order.push('third'));
  await queued('b', async () => order.push('of another key'));
  expect(queued.keys()).toEqual(['a']);
  first.end('first');
  await expect(two).rejects.toThrow('broken');
  await Promise.all([one, three]);
  expect(order).toEqual(['of another key', 'first', 'third']);
  expect(queued.keys()).toEqual([]);
});

it('refuses a work for whose key too many wait, and lets those leave that no longer want to', async () => {
  const queued = createKeyedQueue({ waiting: 1, what: 'things' });
  const first = started();
  const controller = new AbortController();
  const one = queued('a', first.work);
  const two = queued('a', () => Promise.resolve('never'), controller.signal);
  await expect(queued('a', () => Promise.resolve('never'))).rejects.toMatchObject({
    code: 'TEMPORARILY_UNAVAILABLE',
    message: '2 things are being worked on or wait; try again later',
  });
  expect(await queued('b', () => Promise.resolve('other'))).toBe('other');
  controller.abort(new Error('enough'));
  await expect(two).rejects.toThrow('enough');
  first.end('done');
  expect(await one).toBe('done');
  expect(queued.keys()).toEqual([]);
});
