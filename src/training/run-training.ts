import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import {
  type DatasetColumn,
  ingestFile,
  loadTable,
  planTraining,
  type SourceFormat,
  type SplitSpec,
  type TrainingPlan,
} from '../datasets/index.ts';
import { ApiError, type Clock, systemClock } from '../platform/index.ts';
import { type Algorithm, type ParameterValue, parseParameters } from './parameters.ts';
import type { ProgressListener } from './progress.ts';
import { describeModel, HELD_OUT_PATH, recordArtifacts } from './record-artifacts.ts';
import { type MetricPoint, recordSteps } from './record-steps.ts';
import { type TrainedModel, train } from './train.ts';

/** A file to ingest, or a dataset version's canonical Parquet file. */
export type TrainingSource = { path: string; format?: SourceFormat } | TrainingTable;

export interface TrainingTable {
  parquetPath: string;
  name: string;
  version?: number;
  digest: string;
  rows: number;
  schema: readonly DatasetColumn[];
  notes?: readonly string[];
}

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
  /** Columns of a file that are text whatever their values look like. */
  text?: readonly string[];
  algorithm: Algorithm;
  params?: Record<string, ParameterValue>;
  seed: number;
  /** Stratified for classes and random for numbers, if nothing else is said. */
  split: { kind?: SplitSpec['kind']; testShare: number };
  codeVersion: string;
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
  const during = async <T>(stage: TrainingStage, work: () => Promise<T>): Promise<T> => {
    signal?.throwIfAborted();
    options.onStage?.({ stage });
    const started = performance.now();
    const result = await work();
    durations[stage] = performance.now() - started;
    return result;
  };

  const table = await during('ingest', () => prepareTable(folder, options));
  const { parquetPath } = table;
  const plan = await during('plan', () =>
    planTraining({
      parquetPath,
      schema: table.schema,
      target: options.target,
      id: options.id,
      time: options.time,
      ignore: options.ignore,
      signal,
    }),
  );
  const split = chooseSplit(options, plan);
  const data = await during('load', () =>
    loadTable({
      parquetPath,
      plan,
      split,
      signal,
      onProgress: (done) => options.onStage?.({ stage: 'load', done }),
    }),
  );

  const run = await options.recordRun(describeRun(options, table, plan, split, clock));
  try {
    const steps = recordSteps((points) => run.logMetrics(points), clock);
    const model = await during('train', () =>
      train({
        ...data,
        algorithm: options.algorithm,
        params: options.params,
        seed: options.seed,
        signal,
        onProgress: (progress) => {
          steps.add(progress);
          options.onProgress?.(progress);
        },
        provenance: {
          code_version: options.codeVersion,
          data: { name: table.name, version: table.version, digest: table.digest, rows: table.rows },
          target: options.target,
          split,
        },
      }),
    );
    const version = await during('record', async () => {
      await steps.flush();
      await run.logMetrics(
        Object.entries(model.metrics).map(([key, value]) => ({
          key,
          value,
          step: 0,
          timestamp: clock.now(),
        })),
      );
      await recordArtifacts(folder, run, { table, plan, split, model, clock, signal });
      return options.registerVersion({
        name: options.name,
        runId: run.runId,
        artifactPath: 'model',
        description: describeModel(options.algorithm, model),
        tags: { 'tidemill.heldout': HELD_OUT_PATH, 'tidemill.algorithm': options.algorithm },
      });
    });
    await run.finish({ status: 'FINISHED', endTime: clock.now() });
    return {
      name: options.name,
      runId: run.runId,
      version: version.version,
      table,
      plan,
      split,
      model,
      durations,
    };
  } catch (error) {
    const status = signal?.aborted ? 'KILLED' : 'FAILED';
    const reason = error instanceof Error ? error.message : String(error);
    // The failure that matters is the first one.
    await run.finish({ status, endTime: clock.now(), reason }).catch(() => {});
    throw error;
  }
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
  return { parquetPath, name: basename(source.path), digest, rows, schema, notes };
}

function chooseSplit({ split, seed }: RunTrainingOptions, plan: TrainingPlan): SplitSpec {
  const kind = split.kind ?? (plan.task === 'regression' ? 'random' : 'stratified');
  if (kind !== 'time') {
    return { kind: plan.task === 'regression' ? 'random' : kind, testShare: split.testShare, seed };
  }
  if (plan.timeColumn === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      'A split by time needs to know the column that says when a row happened: name it as the time column',
    );
  }
  return { kind, testShare: split.testShare, seed, timeColumn: plan.timeColumn };
}

function describeRun(
  options: RunTrainingOptions,
  table: TrainingTable,
  plan: TrainingPlan,
  split: SplitSpec,
  clock: Clock,
): RunStart {
  return {
    startTime: clock.now(),
    params: {
      algorithm: options.algorithm,
      ...parseParameters(options.algorithm, options.params ?? {}),
      seed: options.seed,
      target: options.target,
      split: split.kind,
      test_share: split.testShare,
      features: plan.features.length,
    },
    tags: {
      'mlflow.runName': `${options.name}-${options.algorithm}`,
      'mlflow.source.name': 'tidemill train',
      'mlflow.source.type': 'LOCAL',
      'tidemill.code_version': options.codeVersion,
      'tidemill.data_digest': table.digest,
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
