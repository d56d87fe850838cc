import { EventEmitter } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import {
  irisModel,
  lineModel,
  SETOSA,
  SETOSA_ROW,
  sha256Of,
  withExample,
} from '../../../tests/support/served-models.ts';
import { createRowCoder, madeUpRow, type Signature } from '../../models/index.ts';
import {
  createWorkerMessageHandler,
  type FromWorker,
  movable,
  type ToWorker,
} from './answer-worker-messages.ts';
import { type LoadRequest, loadModel, StaleCopyError } from './load-model.ts';
import { loadQuietly, type ThreadPriority } from './load-quietly.ts';
import { loadLimitMs } from './prepare-model.ts';
import { loadInWorker, type WorkerThread } from './run-in-worker.ts';

function requestOf(bytes: Uint8Array): LoadRequest {
  const path = join(tempDir(), 'model.onnx');
  writeFileSync(path, bytes);
  return {
    path,
    sha256: sha256Of(bytes),
    sizeBytes: bytes.byteLength,
  };
}

/** The work of a worker, in this thread. */
function startWork() {
  const posted: FromWorker[] = [];
  const handle = createWorkerMessageHandler((message) => posted.push(message));
  return {
    ask: async (message: ToWorker): Promise<FromWorker> => {
      await handle(message);
      return posted.pop() as FromWorker;
    },
  };
}

describe("a worker's work", () => {
  it('loads, measures, answers batches, and frees the model', async () => {
    const { ask } = startWork();
    const bytes = await withExample(irisModel(), [SETOSA_ROW]);
    const request = requestOf(bytes);
    const loaded = await ask({ type: 'load', request, fastCreateMs: 10 });
    if (loaded.type !== 'loaded') throw new Error(JSON.stringify(loaded));
    const { signature, sample, framework, measure } = loaded.report;
    expect(sample).toEqual(SETOSA_ROW);
    expect(framework).toBe('tidemill');
    expect(measure.createMs).toBeGreaterThanOrEqual(0);
    expect(measure.rowMicros).toBeGreaterThanOrEqual(0);
    const batch = createRowCoder(signature).encode([SETOSA, SETOSA]);
    const ran = await ask({ type: 'run', id: 5, batch });
    expect(ran).toMatchObject({ type: 'ran', id: 5, result: { output: { labels: ['setosa', 'setosa'] } } });
    expect(await ask({ type: 'release' })).toEqual({ type: 'released' });
    expect(await ask({ type: 'run', id: 6, batch })).toMatchObject({ type: 'run-failed' });
  });

  it('times a slow create once more, because the first one may have paid for the start of the runtime', async () => {
    const request = requestOf(lineModel());
    const loaded = await startWork().ask({ type: 'load', request, fastCreateMs: 0 });
    expect(loaded.type).toBe('loaded');
  });

  it('says whether the copy is at fault or the model', async () => {
    const { ask } = startWork();
    const load = (request: LoadRequest) => ask({ type: 'load', request, fastCreateMs: 10 });
    const good = requestOf(lineModel());
    expect(await load({ ...good, path: `${good.path}.gone` })).toMatchObject({ isStaleCopy: true });
    writeFileSync(good.path, 'something else');
    expect(await load(good)).toMatchObject({
      isStaleCopy: true,
      message: expect.stringContaining('corrupt'),
    });
    const noModel = requestOf(new Uint8Array([1, 2, 3]));
    expect(await load(noModel)).toMatchObject({ type: 'load-failed', isStaleCopy: false });
    const early = await startWork().ask({ type: 'run', id: 1, batch: { rows: 1, tensors: {} } });
    expect(early).toMatchObject({ type: 'run-failed', id: 1 });
  });

  it('moves only memory that nothing else shares', () => {
    const whole = new Float32Array(4);
    expect(movable(whole)).toEqual([whole.buffer]);
    expect(movable(whole.subarray(1))).toEqual([]);
    expect(movable(['text'])).toEqual([]);
    expect(movable(undefined)).toEqual([]);
  });
});

describe('loading on this thread', () => {
  it('refuses a model whose answer differs from its recorded example', async () => {
    const honest = lineModel(0);
    const example = (await withExample(honest, [{ a: 1, b: 1 }])).subarray(honest.byteLength);
    const other = lineModel(2);
    const forged = new Uint8Array([...other, ...example]);
    await expect(loadModel(requestOf(forged))).rejects.toThrow('differs from the recorded one');
    await expect(loadModel({ ...requestOf(honest), path: '/nowhere' })).rejects.toBeInstanceOf(
      StaleCopyError,
    );
  });

  it('makes up a row for a model without an example', () => {
    const column = (name: string, type: Signature['columns'][number]['type'], categories?: string[]) => ({
      name,
      type,
      nullable: false,
      ...(categories ? { categories } : {}),
    });
    const signature: Signature = {
      columns: [
        column('number', 'double'),
        column('count', 'long'),
        column('flag', 'boolean'),
        column('plan', 'string', ['pro']),
        column('note', 'string'),
        column('day', 'datetime'),
      ],
      inputs: [
        { name: 'numeric', elementType: 'float32', columns: ['number', 'count', 'flag'] },
        { name: 'text', elementType: 'string', columns: ['plan', 'note'] },
        { name: 'datetime', elementType: 'int64', columns: ['day'] },
      ],
      output: { task: 'regression', target: 'y', value: 'v' },
    };
    const row = madeUpRow(signature);
    expect(row).toEqual({
      number: 0,
      count: 0,
      flag: false,
      plan: 'pro',
      note: '',
      day: '2024-01-01T00:00:00Z',
    });
    expect(createRowCoder(signature).encode([row]).rows).toBe(1);
  });
});

describe('a runner in a worker', () => {
  /** A thread that does what the test says. */
  class FakeThread extends EventEmitter implements WorkerThread {
    sent: ToWorker[] = [];
    terminated = 0;
    postMessage(message: ToWorker): void {
      this.sent.push(message);
      if (message.type === 'release') this.say({ type: 'released' });
    }
    terminate(): Promise<unknown> {
      this.terminated += 1;
      return Promise.resolve();
    }
    say(message: FromWorker): void {
      this.emit('message', message);
    }
  }

  async function load(runLimitMs = 1000) {
    const thread = new FakeThread();
    const cancel = new AbortController();
    const onLost = vi.fn<(reason: string) => void>();
    const loading = loadInWorker({
      request: { path: '/x', sha256: 'x', sizeBytes: 1 },
      fastCreateMs: 10,
      runLimitMs,
      loadLimitMs: 5000,
      signal: cancel.signal,
      spawn: () => thread,
      onLost,
    });
    return { thread, onLost, loading, cancel };
  }

  const report = { signature: {} as Signature, sample: {}, measure: {} as never };
  const batch = { rows: 1, tensors: { x: new Float32Array(1) } };

  it('brings each answer to its own batch, in any order, and each failure', async () => {
    const { thread, loading } = await load();
    thread.say({ type: 'loaded', report });
    const { runner } = await loading;
    const [first, second, third] = [runner.run(batch), runner.run(batch), runner.run(batch)];
    const result = (ms: number) => ({ output: {}, inferenceMs: ms });
    thread.say({ type: 'ran', id: 2, result: result(2) });
    thread.say({ type: 'ran', id: 1, result: result(1) });
    thread.say({ type: 'run-failed', id: 3, message: 'no' });
    expect(await first).toEqual(result(1));
    expect(await second).toEqual(result(2));
    await expect(third).rejects.toThrow('no');
    const last = runner.run(batch).catch((error: Error) => error.message);
    await runner.release();
    expect(await last).toContain('being released');
    await expect(runner.run(batch)).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' });
  });

  it.each([
    ['fails', (thread: FakeThread) => thread.emit('error', new Error('out of memory')), 'out of memory'],
    ['ends', (thread: FakeThread) => thread.emit('exit', 134), 'code 134'],
  ])('says that the model is lost when the thread %s, once', async (_how, hurt, reason) => {
    const { thread, loading, onLost } = await load();
    thread.say({ type: 'loaded', report });
    const { runner } = await loading;
    const running = runner.run(batch);
    hurt(thread);
    thread.emit('exit', 1);
    await expect(running).rejects.toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' });
    expect(onLost.mock.calls).toEqual([[expect.stringContaining(reason)]]);
  });

  it('ends a thread that hangs', async () => {
    vi.useFakeTimers();
    try {
      const { thread, loading, onLost } = await load(500);
      thread.say({ type: 'loaded', report });
      const { runner } = await loading;
      const running = runner.run(batch).catch((error: Error) => error.message);
      await vi.advanceTimersByTimeAsync(501);
      expect(await running).toContain('longer than 500 ms');
      expect(thread.terminated).toBe(1);
      expect(onLost).toHaveBeenCalledTimes(1);
    } finally {
      vi.useRealTimers();
    }
  });

  it('ends a load that takes too long, and one that nobody wants any more', async () => {
    vi.useFakeTimers();
    try {
      const slow = await load();
      const failed = slow.loading.catch((error: Error) => error.message);
      await vi.advanceTimersByTimeAsync(5001);
      expect(await failed).toContain('its load took longer than 5000 ms');
      expect(slow.thread.terminated).toBe(1);
    } finally {
      vi.useRealTimers();
    }
    const unwanted = await load();
    unwanted.cancel.abort(new Error('not wanted'));
    await expect(unwanted.loading).rejects.toThrow('not wanted');
    expect(unwanted.thread.terminated).toBe(1);
    unwanted.thread.say({ type: 'loaded', report });

    const done = await load();
    done.thread.say({ type: 'loaded', report });
    const { runner } = await done.loading;
    done.cancel.abort();
    expect(done.thread.terminated).toBe(0);
    await runner.release();
  });

  it('fails to load when the thread dies first, or says why it cannot', async () => {
    const dying = await load();
    dying.thread.emit('exit', 1);
    await expect(dying.loading).rejects.toThrow('its worker ended with code 1');
    expect(dying.onLost).not.toHaveBeenCalled();
    const stale = await load();
    stale.thread.say({ type: 'load-failed', message: 'old', isStaleCopy: true });
    await expect(stale.loading).rejects.toBeInstanceOf(StaleCopyError);
  });
});

describe('loading quietly', () => {
  function fakePriority(start: number, mayRaise = true) {
    let now = start;
    const seen: number[] = [];
    const priority: ThreadPriority = {
      get: () => now,
      set(next) {
        if (next < now && !mayRaise) throw new Error('EACCES');
        now = next;
        seen.push(next);
      },
    };
    return { priority, seen, now: () => now };
  }

  it('lowers the priority for the work only, also when it fails', async () => {
    const { priority, seen, now } = fakePriority(0);
    expect(await loadQuietly(priority, () => Promise.resolve(now()))).toBe(10);
    expect(now()).toBe(0);
    await expect(loadQuietly(priority, () => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(now()).toBe(0);
    expect(Math.max(...seen)).toBe(10);
  });

  it('leaves the priority alone where it could not be raised again, or is low already', async () => {
    const stuck = fakePriority(0, false);
    expect(await loadQuietly(stuck.priority, () => Promise.resolve(stuck.now()))).toBe(1);
    const low = fakePriority(15);
    expect(await loadQuietly(low.priority, () => Promise.resolve(low.now()))).toBe(15);
    expect(await loadQuietly(undefined, () => Promise.resolve(7))).toBe(7);
  });
});

it('gives a large model more time to load, within a limit', () => {
  expect(loadLimitMs(100)).toBe(61_000);
  expect(loadLimitMs(32 * 2 ** 20)).toBe(92_000);
  expect(loadLimitMs(2 ** 40)).toBe(600_000);
});
