import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  type DatasetColumn,
  ingestFile,
  type SourceFormat,
  type SplitSpec,
  type TrainingPlan,
} from '../datasets/index.ts';
import { type Clock, systemClock } from '../platform/index.ts';
import { type Algorithm, type ParameterValue, parseParameters } from './parameters.ts';
import type { ProgressListener } from './progress.ts';
import { type MetricPoint, recordSteps } from './record-steps.ts';
import type { TrainedModel } from './train.ts';
import { type TrainedFolder, type TrainIntoOptions, trainFiles } from './train-into.ts';
import type { TrainingTable } from './training-table.ts';

/** A file to ingest, or a dataset version's canonical Parquet file. */
export type TrainingSource = { path: string; format?: SourceFormat } | TrainingTable;

/** What is known of a run when its training starts. */
export interface RunStart {
  startTime: number;
  params: Record<string, ParameterValue>;
  tags: Record<string, string>;
  dataset: { name: string; digest: string; source: string; schema: readonly DatasetColumn[]; rows: number };
}

/** A run that has started. Whoever started it ends it with `finish`, once, whatever happens. */
export interface RunRecorder {
  runId: string;
  logMetrics(points: MetricPoint[]): Promise<void>;
  /** @param body bytes, or the path of a file */
  logArtifact(path: string, body: Uint8Array | string): Promise<void>;
  finish(end: { status: 'FINISHED' | 'FAILED' | 'KILLED'; endTime: number; reason?: string }): Promise<void>;
}

export interface RunTrainingOptions {
  source: TrainingSource;
  /** The registered model that gets a new version. */
  name: string;
  /** A column, or an expression over columns. */
  target: string;
  id?: string;
  time?: string;
  ignore?: readonly string[];
  /** Derived columns: expressions by name. */
  features?: Readonly<Record<string, string>>;
  /** Columns of a file that are text whatever their values look like. */
  text?: readonly string[];
  algorithm: Algorithm;
  params?: Record<string, ParameterValue>;
  seed: number;
  /** Stratified for classes and random for numbers, if nothing else is said. */
  split: TrainIntoOptions['split'];
  codeVersion: string;
  /** Keeps the table of a file as a version of a dataset, so that the run can be repeated. */
  keepTable?: ((table: TrainingTable) => Promise<{ name: string; version: number }>) | undefined;
  recordRun(start: RunStart): Promise<RunRecorder>;
  registerVersion(version: {
    name: string;
    runId: string;
    /** Where in the run's artifacts the model is. */
    artifactPath: string;
    description: string;
    tags: Record<string, string>;
  }): Promise<{ version: string }>;
  onStage?(stage: { stage: TrainingStage; done?: number }): void;
  onProgress?: ProgressListener;
  signal?: AbortSignal;
  clock?: Clock;
  /** Where intermediate files go; a temporary folder otherwise. */
  workDir?: string;
}

export type TrainingStage = 'ingest' | 'plan' | 'load' | 'train' | 'record';

export interface TrainingResult {
  /** The registered model. */
  name: string;
  runId: string;
  version: string;
  table: TrainingTable;
  plan: TrainingPlan;
  split: SplitSpec;
  model: TrainedModel;
  /** Milliseconds that each stage took. */
  durations: Partial<Record<TrainingStage, number>>;
}

/**
 * Trains a model from a file or a dataset version and keeps it: table, plan, training, a run with everything that
 * reproducing it needs, and a new version of the registered model. From the start of the training on, a failure ends
 * the run as FAILED (as KILLED when the signal aborts), with the reason.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a parameter, file, target or table that cannot be trained on
 */
export async function runTraining(options: RunTrainingOptions): Promise<TrainingResult> {
  parseParameters(options.algorithm, options.params ?? {});
  const folder = options.workDir ?? (await mkdtemp(join(tmpdir(), 'tidemill-training-')));
  try {
    return await runIn(folder, options);
  } finally {
    if (options.workDir === undefined) await rm(folder, { recursive: true, force: true });
  }
}

async function runIn(folder: string, options: RunTrainingOptions): Promise<TrainingResult> {
  const { signal, clock = systemClock } = options;
  const durations: TrainingResult['durations'] = {};
  let stage: TrainingStage = 'ingest';
  let since = performance.now();
  const enter = (next: TrainingStage, done?: number): void => {
    if (next !== stage) {
      const now = performance.now();
      durations[stage] = now - since;
      [stage, since] = [next, now];
    }
    options.onStage?.({ stage: next, ...(done === undefined ? {} : { done }) });
  };

  signal?.throwIfAborted();
  enter('ingest');
  const table = await prepareTable(folder, options);
  let run: RunRecorder | undefined;
  let steps: ReturnType<typeof recordSteps> | undefined;
  try {
    const { trained, plan, split, model } = await trainFiles(folder, {
      ...options,
      table,
      onStage: (entered) => enter(entered.stage, entered.done),
      onPlanned: async ({ params }) => {
        const started = await options.recordRun(describeRun(options, table, params, clock));
        run = started;
        steps = recordSteps((points) => started.logMetrics(points), clock);
        return { runId: started.runId };
      },
      onProgress: (progress) => {
        steps?.add(progress);
        options.onProgress?.(progress);
      },
    });
    const version = await record(options, run!, steps!, trained, clock);
    await run!.finish({ status: 'FINISHED', endTime: clock.now() });
    durations[stage] = performance.now() - since;
    const { name } = options;
    return { name, runId: run!.runId, version, table, plan, split, model, durations };
  } catch (error) {
    const status = signal?.aborted ? 'KILLED' : 'FAILED';
    const reason = error instanceof Error ? error.message : String(error);
    // The failure that matters is the first one.
    await run?.finish({ status, endTime: clock.now(), reason }).catch(() => {});
    throw error;
  }
}

async function record(
  options: RunTrainingOptions,
  run: RunRecorder,
  steps: ReturnType<typeof recordSteps>,
  { metrics, files, description, tags }: TrainedFolder,
  clock: Clock,
): Promise<string> {
  await steps.flush();
  const timestamp = clock.now();
  await run.logMetrics(Object.entries(metrics).map(([key, value]) => ({ key, value, step: 0, timestamp })));
  for (const { path, file } of files) await run.logArtifact(path, file);
  const { version } = await options.registerVersion({
    name: options.name,
    runId: run.runId,
    artifactPath: 'model',
    description,
    tags,
  });
  return version;
}

async function prepareTable(folder: string, options: RunTrainingOptions): Promise<TrainingTable> {
  const { source } = options;
  if ('parquetPath' in source) return source;
  const phases = ['read', 'write', 'describe', 'digest'];
  const ingested = await ingestFile({
    path: source.path,
    format: source.format,
    id: options.id,
    time: options.time,
    text: options.text,
    outPath: join(folder, 'table.parquet'),
    signal: options.signal,
    onProgress: ({ phase, done }) =>
      options.onStage?.({ stage: 'ingest', done: (phases.indexOf(phase) + done) / phases.length }),
  });
  const { path: parquetPath, digest, rows, schema, notes } = ingested;
  const table: TrainingTable = { parquetPath, name: basename(source.path), digest, rows, schema, notes };
  return { ...table, ...(await options.keepTable?.(table)) };
}

function describeRun(
  options: RunTrainingOptions,
  table: TrainingTable,
  params: Record<string, ParameterValue>,
  clock: Clock,
): RunStart {
  return {
    startTime: clock.now(),
    params,
    tags: {
      'mlflow.runName': `${options.name}-${options.algorithm}`,
      'mlflow.source.name': 'tidemill train',
      'mlflow.source.type': 'LOCAL',
      'tidemill.code_version': options.codeVersion,
      'tidemill.data_digest': table.digest,
      ...('path' in options.source && { 'tidemill.file': basename(options.source.path) }),
      'tidemill.environment': `node ${process.version} ${process.platform}-${process.arch}`,
    },
    dataset: {
      name: table.name,
      digest: table.digest,
      source: table.version === undefined ? table.name : `${table.name}@${table.version}`,
      schema: table.schema,
      rows: table.rows,
    },
  };
}
