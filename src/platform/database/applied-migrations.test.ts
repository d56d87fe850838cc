import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type EditedLook, lookForEdited, reportEdited } from './applied-migrations.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const look = (findEdited: () => Promise<string[]>) => {
  const heard: EditedLook[] = [];
  return { heard, end: lookForEdited(findEdited, (each) => heard.push(each)) };
};

describe('edited migrations', () => {
  it('are looked for some time after the start', async () => {
    const { heard } = look(async () => ['0001-a']);
    expect(heard).toEqual([]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard).toEqual([{ edited: ['0001-a'] }]);
  });

  it('are a warning where they cannot be told', async () => {
    const { heard } = look(() => Promise.reject(new Error('no such table')));
    await vi.advanceTimersByTimeAsync(60_000);
    expect(heard).toEqual([{ problem: 'no such table' }]);
    const warn = vi.fn<(...args: unknown[]) => void>();
    for (const each of [...heard, { edited: [] }]) reportEdited(each, { warn } as never);
    expect(warn.mock.calls).toEqual([
      [{ problem: 'no such table' }, 'whether migrations were edited after they ran could not be told'],
    ]);
  });

  it('are not looked for once the database is closed', async () => {
    const findEdited = vi.fn<() => Promise<string[]>>(async () => ['0001-a']);
    const { heard, end } = look(findEdited);
    end();
    await vi.advanceTimersByTimeAsync(60_000);
    expect(findEdited).not.toHaveBeenCalled();
    expect(heard).toEqual([]);
  });

  it('are not told once the database is closed', async () => {
    const { promise, resolve } = Promise.withResolvers<string[]>();
    const { heard, end } = look(() => promise);
    await vi.advanceTimersByTimeAsync(60_000);
    end();
    resolve(['0001-a']);
    await vi.advanceTimersByTimeAsync(0);
    expect(heard).toEqual([]);
  });

  it('keep no process alive', () => {
    vi.useRealTimers();
    const started = vi.spyOn(globalThis, 'setTimeout');
    const { end } = look(async () => []);
    expect(started.mock.results.map(({ value }) => (value as NodeJS.Timeout).hasRef())).toEqual([false]);
    started.mockRestore();
    end();
  });
});
