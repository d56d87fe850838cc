import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type LoadedTable,
  type SplitSpec,
  type TrainingData,
  type TrainingPlan,
  withTrainingData,
} from '../datasets/index.ts';
import { ApiError, type Clock, systemClock } from '../platform/index.ts';
import { encodeReference } from '../profiles/index.ts';
import { planDerived } from './derived-columns.ts';
import { writeMlmodel } from './export/write-mlmodel.ts';
import { type Algorithm, type ParameterValue, parseParameters } from './parameters.ts';
import type { ProgressListener } from './progress.ts';
import { type TrainedModel, train } from './train.ts';
import type { TrainingTable } from './training-table.ts';

/** Where a run keeps the raw held-out rows that later versions are compared on. */
export const HELD_OUT_PATH = 'evaluation/heldout.parquet';
/** Where a run keeps what the model was trained on, counted, that what it serves is compared with. */
export const REFERENCE_PATH = 'evaluation/reference.json';

export interface TrainIntoOptions {
  table: TrainingTable;
  /** The registered model that the version is for. */
  name: string;
  /** A column, or an expression over columns. */
  target: string;
  id?: string | undefined;
  time?: string | undefined;
  ignore?: readonly string[] | undefined;
  /** Derived columns: expressions by name. */
  features?: Readonly<Record<string, string>> | undefined;
  algorithm: Algorithm;
  params?: Record<string, ParameterValue> | undefined;
  seed: number;
  /** Stratified for classes and random for numbers, if nothing else is said; by time when `testFrom` (ms) is given. */
  split: {
    kind?: SplitSpec['kind'] | undefined;
    testShare?: number | undefined;
    testFrom?: number | undefined;
  };
  codeVersion: string;
  /** The run that the MLmodel file names, when it is known. */
  runId?: string | undefined;
  onStage?: ((stage: { stage: 'plan' | 'load' | 'train' | 'record'; done?: number }) => void) | undefined;
  onProgress?: ProgressListener | undefined;
  signal?: AbortSignal | undefined;
  clock?: Clock | undefined;
}

/** What a training leaves in a folder: plain JSON, so that a child process can send it. Times are ms, half-open. */
export interface TrainedFolder {
  modelPath: string;
  heldOutPath: string;
  referencePath: string;
  reportPath: string;
  /** What belongs into the run's artifacts, and under which path; the model last. */
  files: { path: string; file: string }[];
  metrics: Record<string, number>;
  params: Record<string, ParameterValue>;
  /** Of the version. */
  tags: Record<string, string>;
  description: string;
  /** Values of the metric while it trained. */
  course: { key: string; value: number; step: number }[];
  trainedFrom?: number;
  trainedTo?: number;
  heldOutFrom?: number;
  heldOutTo?: number;
  heldOutRows: number;
  warnings: string[];
}

export interface Planned {
  plan: TrainingPlan;
  split: SplitSpec;
  params: Record<string, ParameterValue>;
}

/**
 * Trains a model on a table and leaves it, with everything that reproducing and watching it needs, as files in a folder.
 * Records nothing anywhere, so that a child process can do it.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE for a parameter, target, feature or table that cannot be trained on
 */
export async function trainInto(folder: string, options: TrainIntoOptions): Promise<TrainedFolder> {
  return (await trainFiles(folder, options)).trained;
}

/** The same, with what is only known in the process that trains; `onPlanned` is awaited before the training. */
export async function trainFiles(
  folder: string,
  options: TrainIntoOptions & { onPlanned?: (planned: Planned) => Promise<{ runId: string }> },
): Promise<{ trained: TrainedFolder; plan: TrainingPlan; split: SplitSpec; model: TrainedModel }> {
  const { table, algorithm, seed, signal, onStage } = options;
  const parameters = parseParameters(algorithm, options.params ?? {});
  const { features, derived } = planDerived(options.features ?? {}, table.schema);
  const heldOutPath = join(folder, 'heldout.parquet');
  const opened = { parquetPath: table.parquetPath, write: [heldOutPath], derived, signal };
  return withTrainingData(opened, async (data) => {
    const { plan, split, loaded } = await loadRows(data, options);
    const params = describeParameters(options, parameters, plan, split);
    const run = await options.onPlanned?.({ plan, split, params });
    signal?.throwIfAborted();
    onStage?.({ stage: 'train' });
    const course: TrainedFolder['course'] = [];
    const times = { train: rangeOf(loaded.train.times), test: rangeOf(loaded.test.times) };
    const model = await train({
      train: loaded.train,
      test: loaded.test,
      features,
      algorithm,
      params: options.params,
      seed,
      signal,
      onProgress: (progress) => {
        course.push({ key: progress.metric, value: progress.value, step: progress.iteration });
        options.onProgress?.(progress);
      },
      provenance: {
        code_version: options.codeVersion,
        data: {
          name: table.name,
          version: table.version,
          digest: table.digest,
          rows: table.rows,
          ...(times.train ? { time: times.train } : {}),
        },
        held_out: { ...times.test, rows: loaded.test.rows },
        target: options.target,
        ...(features.length > 0
          ? { features: Object.fromEntries(features.map(({ name, expression }) => [name, expression])) }
          : {}),
        split,
      },
    });
    onStage?.({ stage: 'record' });
    const heldOut = await data.exportHeldOut({ plan, split, outPath: heldOutPath }, loaded);
    const files = await writeFiles(folder, {
      options,
      plan,
      split,
      model,
      runId: run?.runId ?? options.runId,
    });
    const trained: TrainedFolder = {
      ...files,
      heldOutPath,
      files: [{ path: HELD_OUT_PATH, file: heldOutPath }, ...files.files],
      metrics: model.metrics,
      params,
      tags: {
        'tidemill.heldout': HELD_OUT_PATH,
        'tidemill.reference': REFERENCE_PATH,
        'tidemill.algorithm': algorithm,
      },
      description: describeModel(algorithm, model),
      course,
      ...(times.train ? { trainedFrom: times.train.from, trainedTo: times.train.to } : {}),
      ...(times.test ? { heldOutFrom: times.test.from, heldOutTo: times.test.to } : {}),
      heldOutRows: heldOut.rows,
      warnings: [...plan.warnings, ...model.warnings],
    };
    return { trained, plan, split, model };
  });
}

async function loadRows(
  data: TrainingData,
  options: TrainIntoOptions,
): Promise<{ plan: TrainingPlan; split: SplitSpec; loaded: LoadedTable }> {
  const { table, signal, onStage } = options;
  signal?.throwIfAborted();
  onStage?.({ stage: 'plan' });
  const { target, id, time, ignore } = options;
  const plan = await data.plan({ schema: table.schema, target, id, time, ignore });
  const split = chooseSplit(options, plan);
  signal?.throwIfAborted();
  onStage?.({ stage: 'load' });
  const loaded = await data.load({ plan, split, onProgress: (done) => onStage?.({ stage: 'load', done }) });
  return { plan, split, loaded };
}

const DEFAULT_TEST_SHARE = 0.2;

function chooseSplit({ split, seed }: TrainIntoOptions, plan: TrainingPlan): SplitSpec {
  const { testFrom, testShare = DEFAULT_TEST_SHARE } = split;
  const usual = plan.task === 'regression' ? 'random' : 'stratified';
  const kind = split.kind ?? (testFrom === undefined ? usual : 'time');
  if (kind !== 'time') {
    if (testFrom !== undefined)
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `testFrom divides rows by time, and the split is ${kind}`,
      );
    return { kind: plan.task === 'regression' ? 'random' : kind, testShare, seed };
  }
  if (plan.timeColumn === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      'A split by time needs to know the column that says when a row happened: name it as the time column',
    );
  }
  const { timeColumn } = plan;
  return testFrom === undefined
    ? { kind, testShare, seed, timeColumn }
    : { kind, testFrom, seed, timeColumn };
}

function describeParameters(
  options: TrainIntoOptions,
  parameters: Record<string, ParameterValue>,
  plan: TrainingPlan,
  split: SplitSpec,
): Record<string, ParameterValue> {
  return {
    algorithm: options.algorithm,
    ...parameters,
    seed: options.seed,
    target: options.target,
    split: split.kind,
    ...(split.testShare === undefined
      ? { test_from: new Date(split.testFrom).toISOString() }
      : { test_share: split.testShare }),
    features: plan.features.length,
  };
}

async function writeFiles(
  folder: string,
  made: {
    options: TrainIntoOptions;
    plan: TrainingPlan;
    split: SplitSpec;
    model: TrainedModel;
    runId: string | undefined;
  },
): Promise<Pick<TrainedFolder, 'modelPath' | 'referencePath' | 'reportPath' | 'files'>> {
  const { options, plan, split, model, runId } = made;
  const { name, version, digest, rows, notes } = options.table;
  const text = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
  const createdAt = (options.clock ?? systemClock).now();
  const contents: [path: string, file: string, content: string | Uint8Array][] = [
    [
      'report.json',
      'report.json',
      text({ ...model.report, split, plan, data: { name, version, digest, rows, notes } }),
    ],
    ['importance.json', 'importance.json', text(model.importance)],
    [REFERENCE_PATH, 'reference.json', encodeReference(model.reference)],
    ['model/model.onnx', 'model.onnx', model.onnx],
    ['model/MLmodel', 'MLmodel', writeMlmodel({ runId, createdAt, onnx: model.onnx, model })],
  ];
  for (const [, file, content] of contents) await writeFile(join(folder, file), content);
  return {
    modelPath: join(folder, 'model.onnx'),
    referencePath: join(folder, 'reference.json'),
    reportPath: join(folder, 'report.json'),
    files: contents.map(([path, file]) => ({ path, file: join(folder, file) })),
  };
}

/** The moments from the first to behind the last row; undefined where no row has a time. */
function rangeOf(times: Float64Array | undefined): { from: number; to: number } | undefined {
  let from = Number.POSITIVE_INFINITY;
  let last = Number.NEGATIVE_INFINITY;
  for (const time of times ?? []) {
    if (time < from) from = time;
    if (time > last) last = time;
  }
  return from <= last ? { from: Math.floor(from), to: Math.floor(last) + 1 } : undefined;
}

/** One line for the version: algorithm and the metrics that say most. */
function describeModel(algorithm: Algorithm, { metrics, report }: TrainedModel): string {
  const shown = report.task === 'regression' ? (['r2', 'rmse'] as const) : (['roc_auc', 'log_loss'] as const);
  const values = shown.flatMap((key) =>
    metrics[key] === undefined ? [] : [`${key} ${metrics[key].toPrecision(4)}`],
  );
  return `${algorithm}, ${values.join(', ')} on ${report.rows.test} held-out rows`;
}
