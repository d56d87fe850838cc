import { describe, expect, it, vi } from 'vitest';
import { fc } from '../../../tests/support/properties.ts';
import type { BatchOutput, CodedBatch } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { TimedOutput } from '../versions/load-model.ts';
import { type BatcherOptions, createBatcher } from './batch-requests.ts';
import type { InputRow, RowAnswers } from './join-answers.ts';

const CLASSES = 2;

/** Codes [x]; text is refused with its row, as the coder of a model does. */
function encode(rows: InputRow[]): CodedBatch {
  const values = rows.map((row, i) => {
    const value = (row as unknown[])[0];
    if (typeof value !== 'number')
      throw new ApiError('INVALID_PARAMETER_VALUE', `Row ${i}: ${String(value)}`);
    return value;
  });
  return { rows: rows.length, tensors: { x: Float64Array.from(values) } };
}

/** A model that answers x with [x, x + 0.5]; it fails as a whole when a row is 13. */
function predict({ rows, tensors }: CodedBatch): BatchOutput {
  const values = [...(tensors['x'] as Float64Array)];
  if (values.includes(13)) throw new Error('the model does not like 13');
  return {
    labels: values.map((value) => `class ${value}`),
    probabilities: Float32Array.from({ length: rows * CLASSES }, (_, i) => values[i >> 1]! + (i % 2) / 2),
    values: Float32Array.from(values),
  };
}

function read({ output, offset, rows }: RowAnswers): unknown[] {
  return Array.from({ length: rows }, (_, i) => [
    output.labels?.[offset + i],
    output.probabilities?.[(offset + i) * CLASSES],
    output.probabilities?.[(offset + i) * CLASSES + 1],
    output.values?.[offset + i],
  ]);
}

function batcherWith(options: Partial<BatcherOptions> = {}) {
  const runs: number[] = [];
  const batcher = createBatcher({
    encode,
    run: (batch) =>
      new Promise<TimedOutput>((resolve, reject) => {
        runs.push(batch.rows);
        setImmediate(() => {
          try {
            resolve({ output: predict(batch), inferenceMs: 1 });
          } catch (error) {
            reject(error as Error);
          }
        });
      }),
    classes: CLASSES,
    maxBatchRows: 8,
    maxQueueRows: 1000,
    maxRuns: 1,
    timeoutMs: 5000,
    ...options,
  });
  return { batcher, runs };
}

const row = fc.oneof(
  { weight: 12, arbitrary: fc.integer({ min: 0, max: 12 }) },
  { weight: 1, arbitrary: fc.constant(13) },
  { weight: 1, arbitrary: fc.constant('text') },
);
const request = fc.record({
  rows: fc.array(row, { minLength: 1, maxLength: 20 }),
  /** Turns of the event loop between the request before and this one. */
  turns: fc.integer({ min: 0, max: 2 }),
  leaves: fc.boolean(),
});

describe('a batch of requests', () => {
  it('gives every request the answer, or the error, that it gets alone', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(request, { minLength: 1, maxLength: 12 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 2 }),
        async (requests, maxBatchRows, maxRuns) => {
          const { batcher, runs } = batcherWith({ maxBatchRows, maxRuns });
          const answers: Promise<unknown>[] = [];
          for (const { rows, turns, leaves } of requests) {
            for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
            const isGone = leaves ? () => true : undefined;
            const input = rows.map((value) => [value]);
            answers.push(batcher.submit(input, isGone).then(read, (error: Error) => error.message));
          }
          const together = await Promise.all(answers);
          for (let i = 0; i < requests.length; i++) {
            const { rows, leaves } = requests[i]!;
            if (leaves && together[i] === 'The client went away before its answer') continue;
            expect(together[i]).toEqual(alone(rows));
          }
          expect(Math.max(0, ...runs)).toBeLessThanOrEqual(maxBatchRows);
          expect(batcher.depth).toBe(0);
          await batcher.drain();
        },
      ),
      { numRuns: 300 },
    );
  });

  function alone(rows: (number | string)[]): unknown {
    const badRow = rows.findIndex((value) => typeof value !== 'number');
    // Rows are coded run by run, so that of two faults the one in the earlier run is told.
    const faults = [badRow === -1 ? [] : [`Row ${badRow}: ${rows[badRow]}`]].flat();
    if (rows.includes(13)) faults.push('The model failed on this request: the model does not like 13');
    if (faults.length > 0) return expect.toBeOneOf(faults);
    return (rows as number[]).map((x) => [`class ${x}`, x, x + 0.5, x]);
  }

  it('runs what one turn of the event loop brings as one batch', async () => {
    const { batcher, runs } = batcherWith();
    await Promise.all([1, 2, 3, 4, 5].map((value) => batcher.submit([[value]])));
    expect(runs).toEqual([5]);
  });

  it('gives a request of many rows a part of each run while others wait', async () => {
    const { batcher, runs } = batcherWith();
    const order: string[] = [];
    const large = batcher
      .submit(Array.from({ length: 40 }, (_, i) => [i % 12]))
      .then(() => order.push('large'));
    const small = batcher.submit([[1]]).then(() => order.push('small'));
    await Promise.all([large, small]);
    expect(order).toEqual(['small', 'large']);
    expect(runs.reduce((a, b) => a + b)).toBe(41);
  });

  it('refuses rows beyond the bound while others wait, but never a request for its own size', async () => {
    const { batcher } = batcherWith({ maxQueueRows: 10 });
    const large = batcher.submit(Array.from({ length: 30 }, () => [1]));
    await expect(batcher.submit([[1]])).rejects.toMatchObject({ code: 'TOO_MANY_REQUESTS' });
    await expect(large).resolves.toMatchObject({ rows: 30 });
    await expect(batcher.submit([[1]])).resolves.toMatchObject({ rows: 1 });
  });

  it('does not run what nobody waits for any more', async () => {
    const { batcher, runs } = batcherWith();
    const gone = batcher.submit([[1]], () => true);
    const here = batcher.submit([[2], [3]], () => false);
    await expect(gone).rejects.toThrow('The client went away');
    await here;
    expect(runs).toEqual([2]);
  });

  it('answers 503 after the time limit, also while a run hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      let time = 0;
      const { batcher } = batcherWith({ run: () => new Promise(() => {}), timeoutMs: 1000, now: () => time });
      const running = batcher.submit([[1]]);
      await new Promise((resolve) => setImmediate(resolve));
      const waiting = batcher.submit([[2]]);
      const failures = Promise.all(
        [running, waiting].map((answer) => answer.catch((error: ApiError) => error)),
      );
      time = 1001;
      await vi.advanceTimersByTimeAsync(1000);
      for (const error of await failures) {
        expect(error).toMatchObject({ code: 'TEMPORARILY_UNAVAILABLE' });
      }
      expect(batcher.depth).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  it('refuses everything once it is closed', async () => {
    const { batcher } = batcherWith();
    const waiting = batcher.submit([[1]]);
    const error = new ApiError('TEMPORARILY_UNAVAILABLE', 'gone');
    batcher.close(error);
    await expect(waiting).rejects.toBe(error);
    await expect(batcher.submit([[1]])).rejects.toBe(error);
    await batcher.drain();
  });

  it('does not run every request alone when the whole runner is away', async () => {
    const run = vi.fn<BatcherOptions['run']>(() =>
      Promise.reject(new ApiError('TEMPORARILY_UNAVAILABLE', 'the worker is gone')),
    );
    const { batcher } = batcherWith({ run });
    const answers = [1, 2, 3].map((value) =>
      batcher.submit([[value]]).catch((error: ApiError) => error.code),
    );
    expect(await Promise.all(answers)).toEqual(Array(3).fill('TEMPORARILY_UNAVAILABLE'));
    expect(run).toHaveBeenCalledTimes(1);
  });

  it('answers the others of a batch when one of them cannot be told of, and runs nothing again', async () => {
    const told: number[][] = [];
    const { batcher, runs } = batcherWith({
      onAnswered(requests) {
        const values = requests.map(({ rows }) => (rows[0] as number[])[0] as number);
        if (values.includes(7)) throw new Error('7 cannot be written');
        told.push(values);
      },
    });
    const answers = [1, 7, 3].map((value) =>
      batcher.submit([[value]], undefined, undefined, 60_000).then(read, (error: Error) => error.message),
    );
    expect(await Promise.all(answers)).toEqual([
      [['class 1', 1, 1.5, 1]],
      'The model failed on this request: 7 cannot be written',
      [['class 3', 3, 3.5, 3]],
    ]);
    expect(told).toEqual([[1], [3]]);
    expect(runs).toEqual([3]);
    expect(batcher.depth).toBe(0);
  });
});
