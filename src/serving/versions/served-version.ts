import { setTimeout as sleep } from 'node:timers/promises';
import { createRowCoder } from '../../models/index.ts';
import { ApiError, type Logger } from '../../platform/index.ts';
import { decodeSpec, type ProfileSpec } from '../../profiles/index.ts';
import type { DesiredVersion, Variant } from '../contract.ts';
import type { ProfileBook } from '../log/profiles/profile-book.ts';
import type { AnsweredBatch } from '../log/profiles/profile-columns.ts';
import type { ServingLog } from '../log/serving-log.ts';
import { createRowAnswerer, type RequestContext } from '../predict/answer-rows.ts';
import { type Batcher, createBatcher } from '../predict/batch-requests.ts';
import type { InputRow } from '../predict/join-answers.ts';
import { createRequestReader, type PredictionRequest } from '../predict/read-prediction-request.ts';
import type { ServingMetrics } from '../serving-metrics.ts';
import type { ModelFacts } from './load-model.ts';
import type { Measure } from './model-cache.ts';
import type { PreparedModel } from './prepare-model.ts';
import type { ModelRunner } from './run-model.ts';

/** A run should not hold the thread for longer than this: inline it delays every other request. */
const INLINE_RUN_MS = 4;
const WORKER_RUN_MS = 20;
const MOST_BATCH_ROWS = 1024;

export interface ServingLimits {
  /** Rows of one request. */
  maxRows: number;
  /** Rows that may wait for one version. */
  maxQueueRows: number;
  /** A prediction that takes longer is answered with 503. */
  timeoutMs: number;
}

/** A warm version that answers requests. */
export interface ServedVersion {
  readonly name: string;
  readonly desired: DesiredVersion;
  readonly facts: ModelFacts;
  readonly measure: Measure;
  readonly place: ModelRunner['place'];
  readonly loadSeconds: number;
  readonly loadedAt: number;
  /** Rows that wait. */
  readonly depth: number;
  /** Why it does not answer any more, although nothing has taken its place yet. */
  readonly lostBecause: string | undefined;
  /** The columns in the order in which a list has them. */
  readonly columnNames: readonly string[];
  /** What its profile counts; undefined when the model came without a reference. */
  readonly spec: ProfileSpec | undefined;
  /** Columns whose values are profiled apart, as is desired now. */
  readonly segments: readonly string[] | undefined;
  /** Reads a body of `/predict`. */
  read(body: unknown): PredictionRequest;
  /** Answers rows; when it resolves, they are logged and counted, and `context.texts` has a prediction for each. */
  submit(
    rows: InputRow[],
    context: RequestContext,
    isGone?: () => boolean,
    limitMs?: number,
  ): Promise<unknown>;
  /** Counts a request that it should have answered and that another version had to. */
  countFailure(variant: Variant, timeMs: number | undefined): void;
  /** Rows coded and run as requests are, but answering nobody: to count a dead incarnation's rows once more. */
  rerun(rows: InputRow[]): Promise<AnsweredBatch>;
  /** Its worker is gone: what waits is answered with 503. */
  lose(reason: string): void;
  /** Finishes what it has, then frees the model. */
  retire(): Promise<void>;
}

export function createServedVersion(deps: {
  name: string;
  desired: DesiredVersion;
  prepared: PreparedModel;
  loadSeconds: number;
  loadedAt: number;
  limits: ServingLimits;
  metrics: ServingMetrics;
  nextId: () => string;
  log: ServingLog | undefined;
  book: ProfileBook | undefined;
  segments: () => readonly string[] | undefined;
  onEventTime: ((timeMs: number) => void) | undefined;
  now: () => number;
  logger: Logger;
}): ServedVersion {
  const { name, desired, prepared, limits, metrics, logger } = deps;
  const { runner, facts, measure } = prepared;
  const { signature } = facts;
  const { version } = desired;
  const coder = createRowCoder(signature);
  const readRequest = createRequestReader(signature, limits.maxRows);
  const isInline = runner.place === 'main-thread';
  const runMs = isInline ? INLINE_RUN_MS : WORKER_RUN_MS;
  const inferenceSeconds: Record<Variant, { observe(seconds: number): void }> = {
    champion: metrics.inferenceSeconds.labels(name, version, 'champion'),
    canary: metrics.inferenceSeconds.labels(name, version, 'canary'),
    shadow: metrics.inferenceSeconds.labels(name, version, 'shadow'),
    previous: metrics.inferenceSeconds.labels(name, version, 'previous'),
  };
  const batchRows = metrics.batchRows.labels(name, version);
  const classes = signature.output.task === 'regression' ? [''] : signature.output.classes.map(String);
  const predictions = classes.map((label) => metrics.predictions.labels(name, version, label));
  let lostBecause: string | undefined;
  const spec = readSpec();
  const answerer = createRowAnswerer({
    model: name,
    version,
    signature,
    spec,
    log: deps.log,
    book: deps.book,
    segments: deps.segments,
    countLeftOut: (column, rows) => metrics.unsegmentedRows.labels(name, version, column).inc(rows),
    countUnprofiled: (rows) => metrics.unprofiledRows.labels(name, version).inc(rows),
    onEventTime: deps.onEventTime,
    nextId: deps.nextId,
    now: deps.now,
    wallNow: Date.now,
    count: (classPlace) => predictions[classPlace]?.inc(),
    logger,
  });

  const batcher: Batcher<RequestContext> = createBatcher<RequestContext>({
    encode: (rows) => {
      const batch = coder.encode(rows);
      for (const column in batch.unseen) {
        metrics.unseenCategories.labels(name, version, column).inc(batch.unseen[column]);
      }
      return batch;
    },
    run: (batch) => runner.run(batch),
    classes: classes.length,
    maxBatchRows: Math.max(
      1,
      Math.min(MOST_BATCH_ROWS, Math.floor((runMs * 1000) / Math.max(measure.batchRowMicros, 0.1))),
    ),
    maxQueueRows: limits.maxQueueRows,
    maxRuns: isInline ? 1 : 2,
    timeoutMs: limits.timeoutMs,
    observeRun(rows, inferenceMs, { variant }) {
      inferenceSeconds[variant].observe(inferenceMs / 1000);
      batchRows.observe(rows);
    },
    onAnswered: (requests) => answerer.answer(requests),
  });

  function readSpec(): ProfileSpec | undefined {
    if (facts.profile === undefined) return undefined;
    try {
      return decodeSpec(facts.profile);
    } catch (error) {
      logger.warn(
        { err: error, model: name, version },
        "the model's profile spec cannot be read; it is not profiled",
      );
      return undefined;
    }
  }

  return {
    name,
    desired,
    facts,
    measure,
    place: runner.place,
    loadSeconds: deps.loadSeconds,
    loadedAt: deps.loadedAt,
    get depth() {
      return batcher.depth;
    },
    get lostBecause() {
      return lostBecause;
    },
    columnNames: signature.columns.map((column) => column.name),
    spec,
    get segments() {
      return deps.segments();
    },
    read: readRequest,
    submit: (rows, context, isGone, limitMs) => batcher.submit(rows, isGone, context, limitMs),
    countFailure: (variant, timeMs) => answerer.countFailure(variant, timeMs),
    async rerun(rows) {
      const batch = coder.encode(rows);
      const { output } = await runner.run(batch);
      return { batch, output, classCodes: answerer.placesOf(output) };
    },
    lose(reason) {
      lostBecause = reason;
      batcher.close(
        new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `Model '${name}' version ${version} is being loaded again: ${reason}`,
        ),
      );
    },
    async retire() {
      // Whoever waits longer than the time limit has been answered; a run that hangs must not hold the memory.
      const limit = new AbortController();
      const overdue = sleep(limits.timeoutMs + 1000, undefined, { signal: limit.signal, ref: false });
      await Promise.race([batcher.drain(), overdue.catch(() => {})]);
      limit.abort();
      await runner.release();
      logger.info({ model: name, version }, 'model version released');
    },
  };
}
