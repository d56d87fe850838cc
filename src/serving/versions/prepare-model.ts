import type { Logger } from '../../platform/index.ts';
import type { DesiredVersion } from '../contract.ts';
import {
  type LoadReport,
  type LoadRequest,
  loadModel,
  type ModelFacts,
  RUNTIME_VERSION,
  StaleCopyError,
} from './load-model.ts';
import type { Measure, ModelBytes, ModelCache } from './model-cache.ts';
import { loadInWorker, type WorkerThread } from './run-in-worker.ts';
import { createInlineRunner, type ModelRunner } from './run-model.ts';

/** Gives the ONNX bytes of a version, best as a stream. Rejects when they cannot be had now. */
export type FetchModel = (
  model: { name: string; version: string; sha256: string },
  signal: AbortSignal,
) => Promise<ModelBytes>;

export interface PreparedModel {
  runner: ModelRunner;
  facts: ModelFacts;
  measure: Measure;
  /** Whether it may run on the main thread. */
  isFast: boolean;
}

export interface PrepareOptions {
  cache: ModelCache;
  fetchModel: FetchModel;
  spawnWorker: (name: string) => WorkerThread;
  /** A model runs on the main thread only when it is free of control flow, and its create and its row took less. */
  inlineLimits: { createMs: number; rowMicros: number };
  runLimitMs: number;
  logger: Logger;
}

const LOAD_LIMIT_MS = 60_000;
const LOAD_LIMIT_MS_PER_MIB = 1000;
const LONGEST_LOAD_LIMIT_MS = 600_000;

/** A forest of 32 MiB takes a second on a free core; at a low priority on a busy machine far longer. */
export const loadLimitMs = (sizeBytes: number): number =>
  Math.min(LONGEST_LOAD_LIMIT_MS, LOAD_LIMIT_MS + Math.ceil(sizeBytes / 2 ** 20) * LOAD_LIMIT_MS_PER_MIB);

/**
 * Makes a version ready to answer: from the cached copy when it is whole, else fetched; created, warmed, timed and
 * compared with its recorded example in a worker; and created once more on the main thread when it is fast enough.
 * One that was found fast by an earlier process goes there directly, so that a restart is instant.
 *
 * @param staysInWorker keeps it off the main thread however fast it is: a shadow takes no time from answers.
 */
export async function prepareModel(
  options: PrepareOptions,
  model: DesiredVersion & { name: string },
  onLost: (reason: string) => void,
  signal: AbortSignal,
  staysInWorker = false,
): Promise<PreparedModel> {
  const { cache, inlineLimits, logger } = options;
  const { name, version, sha256, size_bytes: sizeBytes } = model;
  const request: LoadRequest = { path: cache.modelPath(sha256), sha256, sizeBytes };
  const isFast = (measure: Measure) =>
    !measure.hasControlFlow &&
    measure.createMs < inlineLimits.createMs &&
    measure.rowMicros < inlineLimits.rowMicros;

  const known = await cache.readMeasure(sha256);
  if (known !== undefined && known.runtime === RUNTIME_VERSION && isFast(known) && !staysInWorker) {
    try {
      const { session, facts } = await loadModel(request);
      return { runner: createInlineRunner(session), facts, measure: known, isFast: true };
    } catch (error) {
      if (!(error instanceof StaleCopyError)) throw error;
    }
  }

  const { runner, report } = await loadCached();
  const { measure, ...facts } = report;
  try {
    await cache.writeMeasure(sha256, measure);
  } catch (error) {
    logger.warn({ err: error, model: name, version }, 'the measure of a model could not be kept');
  }
  if (staysInWorker || !isFast(measure)) return { runner, facts, measure, isFast: isFast(measure) };
  try {
    const { session } = await loadModel(request);
    return { runner: createInlineRunner(session), facts, measure, isFast: true };
  } finally {
    await runner.release();
  }

  async function loadCached(): Promise<{ runner: ModelRunner; report: LoadReport }> {
    if (await cache.hasModel(sha256)) {
      try {
        return await load();
      } catch (error) {
        if (!(error instanceof StaleCopyError)) throw error;
        logger.warn({ model: name, version, reason: error.message }, 'a cached model is fetched again');
        await cache.dropModel(sha256);
      }
    }
    await cache.keepModel(sha256, await options.fetchModel({ name, version, sha256 }, signal));
    try {
      return await load();
    } catch (error) {
      if (!(error instanceof StaleCopyError)) throw error;
      await cache.dropModel(sha256);
      throw new Error(`the bytes fetched are not those of the registry: ${error.message}`, { cause: error });
    }
  }

  function load() {
    return loadInWorker({
      request,
      fastCreateMs: inlineLimits.createMs,
      runLimitMs: options.runLimitMs,
      loadLimitMs: loadLimitMs(sizeBytes),
      signal,
      spawn: () => options.spawnWorker(`model ${name}/${version}`),
      onLost,
    });
  }
}
