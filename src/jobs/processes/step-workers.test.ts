import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from 'vitest';
import { silentLogger } from '../../../tests/support/index.ts';
import { createStepWorkers, type StepWorkersOptions } from '../index.ts';

const started: ReturnType<typeof createStepWorkers>[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((workers) => workers.stop()));
});

function workersOf(options: Partial<StepWorkersOptions> = {}) {
  const workers = createStepWorkers({
    entry: new URL('../../../tests/support/step-process.ts', import.meta.url),
    size: 1,
    logger: silentLogger,
    killAfterMs: 100,
    ...options,
  });
  started.push(workers);
  return workers;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('step workers', () => {
  it('do tasks in one warm process, with logs and progress', async () => {
    const workers = workersOf();
    const lines: string[] = [];
    const progress: unknown[] = [];
    const sum = await workers.run<number>(
      { name: 'add', input: { a: 1, b: 2 } },
      { onLog: (line) => lines.push(line), onProgress: (done, note) => progress.push([done, note]) },
    );
    expect(sum).toBe(3);
    expect(lines).toEqual(['adding']);
    expect(progress).toEqual([[1, 'done']]);
    const pids = [];
    for (let i = 0; i < 3; i++) pids.push(await workers.run({ name: 'pid', input: null }));
    expect(new Set(pids)).toEqual(new Set(workers.pids()));
    expect(await workers.run({ name: 'bytes', input: Float64Array.of(1.5) })).toEqual(Float64Array.of(3));
  });

  it('throw what the handler threw, and name what is not there', async () => {
    const workers = workersOf();
    await expect(workers.run({ name: 'refuse', input: null })).rejects.toMatchObject({
      code: 'RESOURCE_CONFLICT',
      message: 'a rollout is under way',
      details: { rollout: 7 },
    });
    await expect(workers.run({ name: 'ad', input: null })).rejects.toThrow("did you mean 'add'");
    await expect(workers.run({ name: 'function', input: null })).rejects.toThrow('could not be cloned');
    await expect(workers.run({ name: 'add', input: () => 1 })).rejects.toThrow('could not be cloned');
    expect(await workers.run({ name: 'add', input: { a: 1, b: 1 } })).toBe(2);
  });

  it('keep the lines that a step prints', async () => {
    const lines: string[] = [];
    const workers = workersOf();
    await workers.run({ name: 'print', input: null }, { onLog: (line) => lines.push(line) });
    await workers.run({ name: 'pid', input: null });
    await expect.poll(() => lines.sort()).toEqual(['to the errors', 'to the output']);
  });

  it.each([
    ['crash', 'The step process was ended by SIGSEGV: about to fall over'],
    ['exit', 'The step process ended with exit code 9 and no answer: fatal: no memory'],
  ])('tell of a process that dies what it said last (%s), and start another', async (name, message) => {
    const workers = workersOf();
    await expect(workers.run({ name, input: null })).rejects.toMatchObject({
      code: 'TEMPORARILY_UNAVAILABLE',
      message,
    });
    expect(await workers.run({ name: 'add', input: { a: 2, b: 2 } })).toBe(4);
  });

  it.each(['heed', 'spin', 'beget'])(
    'end a task that is aborted, with all that it started (%s)',
    async (name) => {
      const workers = workersOf();
      const abort = new AbortController();
      let pid = 0;
      const task = workers.run(
        { name, input: null },
        {
          signal: abort.signal,
          onLog: (line) => {
            pid = Number(line.split(' ')[1]);
            abort.abort(new Error('cancelled by grace'));
          },
        },
      );
      await expect(task).rejects.toThrow('cancelled by grace');
      await expect.poll(() => isAlive(pid)).toBe(false);
      expect(await workers.run({ name: 'add', input: { a: 2, b: 3 } })).toBe(5);
    },
  );

  it('leave nothing behind of a process that died', async () => {
    const error = await workersOf()
      .run({ name: 'abandon', input: null })
      .catch((thrown: Error) => thrown);
    const message = (error as Error).message;
    expect(message).toContain('was ended by SIGABRT');
    const pid = Number(/left (\d+) behind/.exec(message)?.[1]);
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('end a task that takes too long', async () => {
    const workers = workersOf();
    await workers.run({ name: 'pid', input: null });
    await expect(workers.run({ name: 'spin', input: null }, { timeoutMs: 50 })).rejects.toThrow(
      "took longer than 50 ms for 'spin'",
    );
  });

  it('let tasks wait for a process, and leave when they are not wanted any more', async () => {
    const workers = workersOf();
    const first = workers.run({ name: 'spin', input: null }, { timeoutMs: 100 });
    const second = workers.run({ name: 'add', input: { a: 1, b: 1 } });
    const abort = new AbortController();
    const third = workers.run({ name: 'add', input: { a: 1, b: 1 } }, { signal: abort.signal });
    abort.abort(new Error('not wanted'));
    await expect(third).rejects.toThrow('not wanted');
    await expect(first).rejects.toThrow('took longer');
    expect(await second).toBe(2);
  });

  it('replace a process that has grown', async () => {
    const workers = workersOf({ recycleRssBytes: 1 });
    const first = await workers.run({ name: 'grow', input: null });
    expect(await workers.run({ name: 'pid', input: null })).not.toBe(first);
  });

  it('say why no process starts, and start none without end', async () => {
    const workers = workersOf({ entry: new URL('../../../tests/support/no-such-entry.ts', import.meta.url) });
    await expect(workers.run({ name: 'add', input: null })).rejects.toThrow('no-such-entry.ts');
  });

  it('stop with every process ended', async () => {
    const workers = workersOf({ size: 2 });
    await workers.run({ name: 'pid', input: null });
    const pids = workers.pids();
    const task = workers.run({ name: 'spin', input: null });
    task.catch(() => {});
    await workers.stop();
    expect(pids.filter(isAlive)).toEqual([]);
    await expect(task).rejects.toThrow('was ended by SIG');
    await expect(workers.run({ name: 'pid', input: null })).rejects.toThrow('stopping');
  });

  it.each(['spin', 'beget'])(
    'end when their parent is killed, also in the midst of work (%s)',
    async (name) => {
      const parent = spawn(
        process.execPath,
        [fileURLToPath(new URL('../../../tests/support/step-parent.ts', import.meta.url)), name],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      );
      const line = await new Promise<string>((resolve) =>
        createInterface({ input: parent.stdout }).once('line', resolve),
      );
      const pids = (line.match(/\d+/g) ?? []).map(Number);
      expect(pids).toHaveLength(2);
      expect(pids.filter(isAlive)).toEqual(pids);
      parent.kill('SIGKILL');
      await expect.poll(() => pids.filter(isAlive)).toEqual([]);
    },
  );
});
