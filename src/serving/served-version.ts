import { setTimeout as sleep } from 'node:timers/promises';
import { createRowCoder } from '../models/index.ts';
import { ApiError, type Logger } from '../platform/index.ts';
import { type Batcher, createBatcher, type InputRow } from './batch-requests.ts';
import type { DesiredVersion } from './contract.ts';
import type { ModelFacts } from './load-model.ts';
import type { Measure } from './model-cache.ts';
import type { PreparedModel } from './prepare-model.ts';
import { createRequestReader } from './read-prediction-request.ts';
import type { ModelRunner } from './run-model.ts';
import type { ServingMetrics } from './serving-metrics.ts';
import { createPredictionWriter, type Variant } from './write-prediction.ts';

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
  /** Answers a body of `/predict` with JSON text. */
  predict(body: unknown, variant: Variant, isGone?: () => boolean): Promise<string>;
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
    previous: metrics.inferenceSeconds.labels(name, version, 'previous'),
  };
  const batchRows = metrics.batchRows.labels(name, version);
  const classes = signature.output.task === 'regression' ? [''] : signature.output.classes.map(String);
  const predictions = classes.map((label) => metrics.predictions.labels(name, version, label));
  let lostBecause: string | undefined;
  // All callers of one moment see the version in the same part.
  let lastVariant: Variant = 'champion';

  const batcher: Batcher = createBatcher({
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
    observeRun(rows, inferenceMs) {
      inferenceSeconds[lastVariant].observe(inferenceMs / 1000);
      batchRows.observe(rows);
    },
  });

  const writer = createPredictionWriter({
    output: signature.output,
    version,
    nextId: deps.nextId,
    count: (classIndex) => predictions[classIndex]?.inc(),
  });

  async function predictMany(rows: InputRow[], variant: Variant, isGone?: () => boolean): Promise<string> {
    const answers = await batcher.submit(rows, isGone);
    const parts: string[] = [];
    for (let row = 0; row < answers.rows; row++) parts.push(writer.write(answers, row, variant));
    return `{"predictions":[${parts.join(',')}]}`;
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
    predict(body, variant, isGone) {
      const { rows, isList } = readRequest(body);
      lastVariant = variant;
      if (isList) return predictMany(rows, variant, isGone);
      return batcher.submit(rows, isGone).then((answers) => writer.write(answers, 0, variant));
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
