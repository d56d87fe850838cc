import { expect, it } from 'vitest';
import { createWorkLimit } from './limit-work.ts';

const started = () => {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { work: () => promise, end: resolve };
};

it('runs so many works at once, then those that wait in their order, and refuses more', async () => {
  const limited = createWorkLimit({ running: 1, waiting: 2, what: 'works' });
  const [first, second] = [started(), started()];
  const order: string[] = [];
  const note = (name: string) => (value: string) => order.push(`${name} ${value}`);
  const one = limited(first.work).then(note('one'));
  const two = limited(second.work).then(note('two'));
  const three = limited(() => Promise.resolve('done')).then(note('three'));
  await expect(limited(() => Promise.resolve('never'))).rejects.toMatchObject({
    code: 'TEMPORARILY_UNAVAILABLE',
    message: '3 works are being worked on or wait; try again later',
  });
  second.end('done');
  first.end('done');
  await Promise.all([one, two, three]);
  expect(order).toEqual(['one done', 'two done', 'three done']);
});

it('goes on after a work that failed', async () => {
  const limited = createWorkLimit({ running: 1, waiting: 1, what: 'works' });
  await expect(limited(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  expect(await limited(() => Promise.resolve('fine'))).toBe('fine');
});

it('lets those leave that no longer want to wait', async () => {
  const limited = createWorkLimit({ running: 1, waiting: 1, what: 'works' });
  const first = started();
  const one = limited(first.work);
  const controller = new AbortController();
  const two = limited(() => Promise.resolve('never'), controller.signal);
  controller.abort(new Error('enough'));
  await expect(two).rejects.toThrow('enough');
  const three = limited(() => Promise.resolve('third'));
  first.end('first');
  expect(await one).toBe('first');
  expect(await three).toBe('third');
  await expect(limited(() => Promise.resolve('never'), controller.signal)).rejects.toThrow('enough');
});
