import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import {
  type BatchOutput,
  type CodedBatch,
  createRowCoder,
  createSession,
  EXAMPLE_KEY,
  FRAMEWORK_KEY,
  type ModelSession,
  readMetadata,
  type Signature,
} from '../models/index.ts';
import { compareOutputs, type RecordedOutputs } from './compare-outputs.ts';
import { type Measure, writeAtomically } from './model-cache.ts';

/** The bytes of a cached model are not there, or are not those that their name says: fetch them again. */
export class StaleCopyError extends Error {
  override name = 'StaleCopyError';
}

/** A row to warm and time with, taken from the recorded example, else made up from the signature. */
export type SampleRow = Record<string, unknown>;

export interface LoadRequest {
  /** Where the bytes are, or are to be kept when `bytes` brings them. */
  path: string;
  sha256: string;
  bytes?: Uint8Array;
}

/** What is known of a model once it is loaded, also in another thread than its own. */
export interface ModelFacts {
  signature: Signature;
  sample: SampleRow;
  framework?: string | undefined;
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

const EXAMPLE_TOLERANCE = 1e-4;
const WARM_RUNS = 3;
const TIMED_RUNS = 31;
const TIMED_MS = 60;
const BATCH_ROWS = 64;
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
    return { session, facts: await checkExample(bytes, session) };
  } catch (error) {
    await session.release();
    throw error;
  }
}

/** As `loadModel`, and measures what a create, a row and a row among many take. Takes up to a second: for workers. */
export async function loadAndMeasure(
  request: LoadRequest,
  fastCreateMs: number,
): Promise<{ session: ModelSession; report: LoadReport }> {
  const bytes = await checkedBytes(request);
  const before = process.memoryUsage.rss();
  let started = performance.now();
  let session = await createSession(bytes, { threads: 1 });
  let createMs = performance.now() - started;
  if (createMs >= fastCreateMs && createMs < RETIME_CREATE_MS) {
    await session.release();
    started = performance.now();
    session = await createSession(bytes, { threads: 1 });
    createMs = Math.min(createMs, performance.now() - started);
  }
  try {
    const facts = await checkExample(bytes, session);
    const coder = createRowCoder(session.signature);
    const rowMicros = await timeRuns(session, coder.encode([facts.sample]));
    const batch = coder.encode(Array.from({ length: BATCH_ROWS }, () => facts.sample));
    const batchRowMicros = (await timeRuns(session, batch)) / BATCH_ROWS;
    const memoryBytes = Math.max(0, process.memoryUsage.rss() - before);
    const measure = { runtime: RUNTIME_VERSION, createMs, rowMicros, batchRowMicros, memoryBytes };
    return { session, report: { ...facts, measure } };
  } catch (error) {
    await session.release();
    throw error;
  }
}

async function checkedBytes({ path, sha256, bytes }: LoadRequest): Promise<Uint8Array> {
  if (bytes !== undefined) {
    const actual = digest(bytes);
    if (actual !== sha256) {
      throw new Error(`the bytes fetched have sha256 ${actual}, but the registry says ${sha256}`);
    }
    await writeAtomically(path, bytes);
    return bytes;
  }
  const read = await readFile(path).catch((error: Error) => {
    throw new StaleCopyError(`the cached copy cannot be read: ${error.message}`);
  });
  const actual = digest(read);
  if (actual !== sha256)
    throw new StaleCopyError(`the cached copy is corrupt: its sha256 is ${actual}, not ${sha256}`);
  return read;
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** Rows that were predicted where the model was made, with what it answered there. */
interface RecordedExample {
  rows: SampleRow[];
  outputs: RecordedOutputs;
}

/** Warms the session on the recorded example and compares what it answers with what was recorded. */
async function checkExample(bytes: Uint8Array, session: ModelSession): Promise<ModelFacts> {
  const { signature } = session;
  const coder = createRowCoder(signature);
  const metadata = readMetadata(bytes);
  const framework = metadata[FRAMEWORK_KEY];
  const recorded = metadata[EXAMPLE_KEY];
  const example = recorded === undefined ? undefined : (JSON.parse(recorded) as RecordedExample);
  if (example === undefined || example.rows.length === 0) {
    const sample = madeUpRow(signature);
    await session.run(coder.encode([sample]));
    return { signature, sample, framework };
  }
  const output = await session.run(coder.encode(example.rows));
  const difference = compareOutputs(example.outputs, output, EXAMPLE_TOLERANCE);
  if (difference !== undefined) {
    throw new Error(`its answer to the recorded example differs from the recorded one: ${difference}`);
  }
  return { signature, sample: example.rows[0] as SampleRow, framework };
}

/** Any row that the signature takes. */
export function madeUpRow(signature: Signature): SampleRow {
  const row: SampleRow = {};
  for (const { name, type, categories } of signature.columns) {
    Object.defineProperty(row, name, { value: madeUpValue(type, categories), enumerable: true });
  }
  return row;
}

function madeUpValue(type: Signature['columns'][number]['type'], categories: string[] | undefined): unknown {
  switch (type) {
    case 'boolean':
      return false;
    case 'string':
      return categories?.[0] ?? '';
    case 'datetime':
      return '2024-01-01T00:00:00Z';
    case 'double':
    case 'long':
      return 0;
  }
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
