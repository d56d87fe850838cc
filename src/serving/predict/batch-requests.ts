import type { CodedBatch } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { TimedOutput } from '../versions/load-model.ts';
import { type Job, type Part, passesByItself, rowsOf, runFailed, timedOut } from './batch-job.ts';
import { type AnsweredRequest, type InputRow, joinParts, type RowAnswers } from './join-answers.ts';

export interface BatcherOptions<Context = undefined> {
  encode: (rows: InputRow[]) => CodedBatch;
  run: (batch: CodedBatch) => Promise<TimedOutput>;
  /** Values per row of the output's probabilities. */
  classes: number;
  /** Rows of one run at most, so that a run stays short. */
  maxBatchRows: number;
  /** Rows that may wait; a request beyond them is refused, unless nothing waits. */
  maxQueueRows: number;
  /** Runs under way at a time: 1 inline, 2 for a worker, so that it never waits for the next. */
  maxRuns: number;
  /** A request that is not answered after so long gets 503. */
  timeoutMs: number;
  now?: () => number;
  /** Given the context of the run's first request. */
  observeRun?: (rows: number, inferenceMs: number, context: Context) => void;
  /** Given all requests that a run completes, before any of them is answered; when it throws, it has kept nothing. */
  onAnswered?: (requests: AnsweredRequest<Context>[]) => void;
}

/**
 * Collects the requests that one turn of the event loop parsed, and runs them as one batch; no timer holds anything
 * back. A request is answered with its own rows or its own error, whoever shares its batch.
 */
export function createBatcher<Context = undefined>(options: BatcherOptions<Context>) {
  const { encode, run, maxBatchRows, maxQueueRows, maxRuns, timeoutMs } = options;
  const now = options.now ?? (() => performance.now());
  let queue: Job<Context>[] = [];
  let waitingRows = 0;
  let runs = 0;
  let flushIsDue = false;
  let closedBecause: Error | undefined;
  const running = new Set<Part<Context>[]>();
  let sweep: NodeJS.Timeout | undefined;
  let whenIdle: (() => void)[] = [];

  function finish(job: Job<Context>, error: Error | undefined): void {
    if (job.isDone) return;
    job.isDone = true;
    waitingRows -= job.rows.length - job.taken;
    job.taken = job.rows.length;
    if (error !== undefined) job.reject(error);
    else job.resolve(job.answers as RowAnswers);
  }

  /** Drops what nobody waits for any more. */
  function isStale(job: Job<Context>, time: number): boolean {
    if (job.isDone) return true;
    if (job.isGone?.()) finish(job, new ApiError('BAD_REQUEST', 'The client went away before its answer'));
    else if (time >= job.deadline) finish(job, timedOut(job.limitMs));
    return job.isDone;
  }

  function scheduleFlush(): void {
    if (flushIsDue || runs >= maxRuns) return;
    flushIsDue = true;
    setImmediate(flush);
  }

  function flush(): void {
    flushIsDue = false;
    while (runs < maxRuns && queue.length > 0) {
      const parts = takeBatch();
      if (parts.length === 0) break;
      runs += 1;
      running.add(parts);
      void runParts(parts).finally(() => {
        runs -= 1;
        running.delete(parts);
        if (queue.length > 0) flush();
        else tellIdle();
      });
    }
    tellIdle();
  }

  /** The next run's rows, in order of arrival; a request of many rows takes a quarter of a run while others wait. */
  function takeBatch(): Part<Context>[] {
    const time = now();
    if (waitingRows <= maxBatchRows) {
      const all: Part<Context>[] = [];
      for (const job of queue) if (!isStale(job, time)) all.push(take(job, job.rows.length - job.taken));
      queue = [];
      return all;
    }
    queue = queue.filter((job) => !isStale(job, time));
    const parts: Part<Context>[] = [];
    let room = maxBatchRows;
    const share = queue.length === 1 ? maxBatchRows : Math.max(1, maxBatchRows >> 2);
    for (const job of queue) {
      if (room === 0) break;
      const count = Math.min(share, room, job.rows.length - job.taken);
      parts.push(take(job, count));
      room -= count;
    }
    queue = queue.filter((job) => job.taken < job.rows.length);
    return parts;
  }

  function take(job: Job<Context>, count: number): Part<Context> {
    const part = { job, from: job.taken, count };
    job.taken += count;
    waitingRows -= count;
    return part;
  }

  async function runParts(parts: Part<Context>[]): Promise<void> {
    let batch: CodedBatch;
    try {
      batch = encode(rowsOf(parts));
    } catch (error) {
      // The offender is found by coding each request alone; its own error names its own row.
      if (parts.length === 1)
        finish((parts[0] as Part<Context>).job, ownError(parts[0] as Part<Context>, error as Error));
      else await runOthers(parts);
      return;
    }
    let result: TimedOutput;
    try {
      result = await run(batch);
      options.observeRun?.(batch.rows, result.inferenceMs, (parts[0] as Part<Context>).job.context);
    } catch (error) {
      if (parts.length > 1 && !passesByItself(error)) await eachAlone(parts);
      else for (const { job } of parts) finish(job, runFailed(error as Error));
      return;
    }
    deliver(parts, result, batch);
  }

  /** Refuses the requests that cannot be coded, and runs the others together. */
  async function runOthers(parts: Part<Context>[]): Promise<void> {
    const good = parts.filter((part) => {
      try {
        encode(rowsOf([part]));
        return true;
      } catch (error) {
        finish(part.job, ownError(part, error as Error));
        return false;
      }
    });
    if (good.length === parts.length) await eachAlone(parts);
    else if (good.length > 0) await runParts(good);
  }

  async function eachAlone(parts: Part<Context>[]): Promise<void> {
    for (const part of parts) if (!part.job.isDone) await runParts([part]);
  }

  function ownError(part: Part<Context>, error: Error): Error {
    if (part.job.rows.length === part.count) return error;
    try {
      encode(part.job.rows); // Once more from the first row, so that the error counts rows as its caller does.
    } catch (whole) {
      return whole as Error;
    }
    return error;
  }

  function deliver(parts: Part<Context>[], result: TimedOutput, batch: CodedBatch): void {
    let offset = 0;
    const complete: (Job<Context> & AnsweredRequest<Context>)[] = [];
    for (const { job, from, count } of parts) {
      if (!job.isDone) {
        job.parts.push({ at: from, rows: count, result, offset, batch });
        job.answered += count;
        if (job.answered === job.rows.length && join(job)) complete.push(job as (typeof complete)[number]);
      }
      offset += count;
    }
    if (complete.length > 0) settle(complete);
  }

  function join(job: Job<Context>): boolean {
    try {
      job.answers = joinParts(job, options.classes);
    } catch (error) {
      finish(job, runFailed(error as Error));
    }
    return !job.isDone;
  }

  /** Their rows have been run, so what cannot be answered together is told of alone, and nothing runs again. */
  function settle(complete: (Job<Context> & AnsweredRequest<Context>)[]): void {
    try {
      options.onAnswered?.(complete);
    } catch (error) {
      if (complete.length > 1) for (const job of complete) settle([job]);
      else finish(complete[0] as Job<Context>, runFailed(error as Error));
      return;
    }
    for (const job of complete) finish(job, undefined);
  }

  /** Answers the overdue also while a run hangs: the only timer, and it holds nothing back. */
  function watchDeadlines(): void {
    if (sweep !== undefined) return;
    sweep = setTimeout(
      () => {
        sweep = undefined;
        const time = now();
        queue = queue.filter((job) => !isStale(job, time));
        for (const parts of running) for (const { job } of parts) isStale(job, time);
        if (queue.length > 0 || running.size > 0) watchDeadlines();
        else tellIdle();
      },
      Math.max(10, Math.min(1000, timeoutMs / 4)),
    );
    sweep.unref();
  }

  function tellIdle(): void {
    if (queue.length > 0 || runs > 0) return;
    const waiting = whenIdle;
    whenIdle = [];
    for (const resolve of waiting) resolve();
  }

  return {
    /** Rows that wait for a run. */
    get depth(): number {
      return waitingRows;
    },

    /**
     * Runs rows with whatever else this turn of the event loop brings.
     *
     * @throws ApiError TOO_MANY_REQUESTS when too many rows wait, TEMPORARILY_UNAVAILABLE after the time limit, and
     * what the coder says of the rows.
     */
    submit(
      rows: InputRow[],
      isGone?: () => boolean,
      context?: Context,
      limitMs = timeoutMs,
    ): Promise<RowAnswers> {
      return new Promise((resolve, reject) => {
        if (closedBecause !== undefined) return reject(closedBecause);
        if (waitingRows > 0 && waitingRows + rows.length > maxQueueRows) {
          return reject(
            new ApiError(
              'TOO_MANY_REQUESTS',
              `${waitingRows} rows wait already, and ${maxQueueRows} may; try again`,
            ),
          );
        }
        waitingRows += rows.length;
        queue.push({
          rows,
          taken: 0,
          answered: 0,
          context: context as Context,
          parts: [],
          answers: undefined,
          limitMs,
          deadline: now() + limitMs,
          isGone,
          isDone: false,
          resolve,
          reject,
        });
        watchDeadlines();
        scheduleFlush();
      });
    },

    /** Resolves when nothing waits and nothing runs. */
    drain(): Promise<void> {
      return new Promise((resolve) => {
        whenIdle.push(resolve);
        tellIdle();
      });
    },

    /** Refuses what waits, what runs and what still comes, with this error. */
    close(error: Error): void {
      closedBecause = error;
      for (const job of queue) finish(job, error);
      queue = [];
      for (const parts of running) for (const { job } of parts) finish(job, error);
      clearTimeout(sweep);
      tellIdle();
    },
  };
}

export type Batcher<Context = undefined> = ReturnType<typeof createBatcher<Context>>;
