import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  type BatchOutput,
  type CodedBatch,
  createRowCoder,
  createSession,
  FRAMEWORK_KEY,
  hasControlFlow,
  type ModelSession,
  PROFILE_KEY,
  readOnnx,
  type SampleRow,
  type Signature,
  TRIAL_BATCH_ROWS,
  tryModel,
} from '../../models/index.ts';
import type { Measure } from './model-cache.ts';

/** The bytes of a cached model are not there, or are not those that their name says: fetch them again. */
export class StaleCopyError extends Error {
  override name = 'StaleCopyError';
}

export interface LoadRequest {
  path: string;
  sha256: string;
  sizeBytes: number;
}

/** What is known of a model once it is loaded, also in another thread than its own. */
export interface ModelFacts {
  signature: Signature;
  sample: SampleRow;
  framework?: string | undefined;
  /** The text of the profile's spec, for the models that have one. */
  profile?: string | undefined;
}

export interface LoadReport extends ModelFacts {
  measure: Measure;
}

export interface LoadedModel {
  session: ModelSession;
  facts: ModelFacts;
}

/** What a measure holds for: another runtime may be faster or slower. */
export const RUNTIME_VERSION = (
  createRequire(import.meta.url)('onnxruntime-node/package.json') as { version: string }
).version;

const WARM_RUNS = 3;
const TIMED_RUNS = 31;
const TIMED_MS = 60;
/** A first create() that took between the limit and this may have paid for the runtime's start: timed once more. */
const RETIME_CREATE_MS = 200;

/**
 * Reads, checks and creates a model, and runs its recorded example: what both a worker and the main thread do before
 * a model may answer.
 *
 * @throws StaleCopyError when the copy is missing or corrupt; Error in words when the model cannot be served.
 */
export async function loadModel(request: LoadRequest): Promise<LoadedModel> {
  const bytes = await checkedBytes(request);
  const session = await createSession(bytes, { threads: 1 });
  try {
    return { session, facts: await checkModel(session) };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** As `loadModel`, and measures what a create, a row and a row among many take. Takes up to seconds: for workers. */
export async function loadAndMeasure(
  request: LoadRequest,
  fastCreateMs: number,
): Promise<{ session: ModelSession; report: LoadReport }> {
  const bytes = await checkedBytes(request);
  const before = process.memoryUsage.rss();
  const create = () => createSession(bytes, { threads: 1 });
  let stop = startTimer();
  let session = await create();
  let createMs = stop();
  if (createMs >= fastCreateMs && createMs < RETIME_CREATE_MS) {
    await session.release();
    stop = startTimer();
    session = await create();
    createMs = Math.min(createMs, stop());
  }
  try {
    const facts = await checkModel(session);
    const coder = createRowCoder(session.signature);
    const rowMicros = await timeRuns(session, coder.encode([facts.sample]));
    const batch = coder.encode(Array.from({ length: TRIAL_BATCH_ROWS }, () => facts.sample));
    const batchRowMicros = (await timeRuns(session, batch)) / TRIAL_BATCH_ROWS;
    const memoryBytes = Math.max(0, process.memoryUsage.rss() - before);
    const measure = {
      runtime: RUNTIME_VERSION,
      createMs,
      rowMicros,
      batchRowMicros,
      memoryBytes,
      hasControlFlow: hasControlFlow(readOnnx(bytes)),
    };
    return { session, report: { ...facts, measure } };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** Milliseconds of work: on a machine whose cores are taken, the time that passes says nothing about the model. */
function startTimer(): () => number {
  const started = performance.now();
  const before = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(before);
    return Math.min(performance.now() - started, (user + system) / 1000);
  };
}

async function checkedBytes({ path, sha256 }: LoadRequest): Promise<Uint8Array> {
  const bytes = await readFile(path).catch((error: Error) => {
    throw new StaleCopyError(`the cached copy cannot be read: ${error.message}`);
  });
  const actual = createHash('sha256').update(bytes).digest('hex');
  if (actual !== sha256) {
    throw new StaleCopyError(`the cached copy is corrupt: its sha256 is ${actual}, not ${sha256}`);
  }
  return bytes;
}

async function checkModel(session: ModelSession): Promise<ModelFacts> {
  const sample = await tryModel(session);
  const { signature, metadata } = session;
  return { signature, sample, framework: metadata[FRAMEWORK_KEY], profile: metadata[PROFILE_KEY] };
}

/** Median time of a run in microseconds, after some that only warm. */
async function timeRuns(session: ModelSession, batch: CodedBatch): Promise<number> {
  for (let i = 0; i < WARM_RUNS; i++) await session.run(batch);
  const times: number[] = [];
  const deadline = performance.now() + TIMED_MS;
  do {
    const started = performance.now();
    await session.run(batch);
    times.push((performance.now() - started) * 1000);
  } while (times.length < TIMED_RUNS && performance.now() < deadline);
  times.sort((a, b) => a - b);
  return times[times.length >> 1] as number;
}

export interface TimedOutput {
  output: BatchOutput;
  /** Time of the run itself. */
  inferenceMs: number;
}

export async function runTimed(session: ModelSession, batch: CodedBatch): Promise<TimedOutput> {
  const started = performance.now();
  const output = await session.run(batch);
  return { output, inferenceMs: performance.now() - started };
}
