import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  composeTable,
  type DatasetColumn,
  ingestFile,
  planTraining,
  type SourceFormat,
  type TrainingPlan,
} from '../../datasets/index.ts';
import type { Judgement } from '../../delivery/index.ts';
import { createStepWorkers, nextCronTime } from '../../jobs/index.ts';
import type { ClassValue } from '../../models/index.ts';
import { findNextWindow, type PerformanceMetric, policyTimes } from '../../monitoring/index.ts';
import { ApiError, createWorkLimit, type Logger } from '../../platform/index.ts';
import { lookAlpha } from '../../statistics/index.ts';
import { durationMs, gatePolicySchema, monitorPolicySchema } from '../policy-schemas.ts';
import { type ModelProject, trainingParameters } from '../project-schema.ts';
import { measureRows } from './measure-answers.ts';
import type {
  LoadedTimes,
  ReplayedServing,
  ReplayedTraining,
  ReplayJudging,
  ReplayServing,
  ReplayTable,
  ReplayTraining,
  Window,
} from './replay-tasks.ts';
import {
  type BacktestEvent,
  type BacktestPolicy,
  type Replay,
  type ReplayModel,
  type ReplayWorkers,
  type SimulatedPolicy,
  simulatePolicy,
} from './simulate-policy.ts';

export interface BacktestRequest {
  model: string;
  config: ModelProject;
  /** Files with dated rows; their paths are absolute. */
  files: { path: string; format?: SourceFormat | undefined }[];
  policies: readonly BacktestPolicy[];
  /** When the first model is there, ms since the epoch; after a fifth of the time otherwise. */
  startAt?: number | undefined;
  /** The newest part of the time, told apart. */
  holdoutMs?: number | undefined;
  codeVersion: string;
  processes: number;
  /** The module of the step processes. */
  entry: URL;
  logger: Logger;
  signal?: AbortSignal | undefined;
  onProgress?: (done: number, note: string) => void;
}

export interface BacktestWeek {
  /** Its Monday, ms since the epoch. */
  week: number;
  rows: number;
  metrics: Record<string, number>;
}

export interface BacktestResult {
  model: string;
  rows: number;
  from: number;
  to: number;
  startAt: number;
  holdoutFrom: number | undefined;
  /** Trainings that were done, and those that another policy had done already. */
  trainings: { done: number; shared: number };
  policies: {
    policy: BacktestPolicy;
    retrainings: number;
    promoted: number;
    rejected: number;
    failed: number;
    alarms: { drift: number; performance: number };
    weeks: BacktestWeek[];
    /** Over all rows before the hold-out, and in it. */
    before: Record<string, number>;
    holdout: Record<string, number>;
    events: BacktestEvent[];
  }[];
}

const DAY_MS = 86_400_000;
const WEEK_MS = 7 * DAY_MS;
/** The first Monday after the epoch. */
const MONDAY = 4 * DAY_MS;
const FIRST_SHARE = 0.2;
const LEAST_TRAINING_SHARE = 0.5;
const SEED = 1;

/** Replays a dated table under several policies, with the code that trains, watches and judges on a platform. */
export async function runBacktest(request: BacktestRequest): Promise<BacktestResult> {
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-backtest-'));
  const workers = createStepWorkers({
    entry: request.entry,
    size: request.processes,
    logger: request.logger,
  });
  try {
    const { onProgress = () => {} } = request;
    onProgress(0, 'reading the table');
    const { table, plan } = await prepareTable(request, folder);
    const run = <T>(name: string, input: unknown) =>
      workers.run<T>({ name, input }, request.signal ? { signal: request.signal } : {});
    const loaded = await run<LoadedTimes>('replay-table', table);
    const replay = planReplay(request, plan, loaded);
    const models = createModelPool(request, { table, plan, replay, folder, run });
    const done = new Map<BacktestPolicy, number>();
    const limited = createWorkLimit({ running: request.processes + 1, waiting: 100, what: 'policies' });
    const simulated = await Promise.all(
      request.policies.map((policy) =>
        limited(() =>
          simulatePolicy(policy, replay, models.workers, {
            ...(request.signal && { signal: request.signal }),
            onStep(share) {
              done.set(policy, share);
              const total = [...done.values()].reduce((sum, each) => sum + each, 0) / request.policies.length;
              onProgress(total, `${models.counts().done} trainings`);
            },
          }),
        ),
      ),
    );
    return describe(request, replay, simulated, models.counts());
  } finally {
    await workers.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

/** One table of all files, in the order of time, with the target as a column. */
async function prepareTable(
  { config, files, model, signal }: BacktestRequest,
  folder: string,
): Promise<{ table: ReplayTable; plan: TrainingPlan }> {
  const { data } = config;
  if (data.time === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `A backtest goes by time, and nothing says when a row of ${model} happened: name that column in models.${model}.data.time`,
    );
  }
  const sources: { parquetPath: string }[] = [];
  let schema: DatasetColumn[] | undefined;
  for (const [index, { path, format }] of files.entries()) {
    const outPath = join(folder, `source-${index}.parquet`);
    const { id, time, text } = data;
    const ingested = await ingestFile({ path, outPath, format, id, time, text, signal } as Parameters<
      typeof ingestFile
    >[0]);
    sources.push({ parquetPath: outPath });
    schema ??= ingested.schema;
  }
  const composed = await composeTable({
    sources,
    schema: schema as DatasetColumn[],
    target: data.target,
    time: data.time,
    ...(data.id !== undefined && { id: data.id }),
    outPath: join(folder, 'table.parquet'),
    signal,
  });
  const plan = await planTraining({
    parquetPath: composed.path,
    schema: composed.schema,
    target: composed.targetName,
    signal,
  } as Parameters<typeof planTraining>[0]);
  return {
    table: {
      parquetPath: composed.path,
      name: model,
      schema: composed.schema,
      target: composed.targetName,
      time: data.time,
      ...(data.id !== undefined && { id: data.id }),
    },
    plan,
  };
}

interface PlannedReplay extends Replay {
  startAt: number;
  classValues: readonly ClassValue[] | undefined;
}

function planReplay(
  { config, startAt }: BacktestRequest,
  plan: TrainingPlan,
  loaded: LoadedTimes,
): PlannedReplay {
  const { times, targets } = loaded;
  const policy = monitorPolicySchema.parse(config.monitor ?? {});
  const { everyMs, labelDelayMs } = policyTimes(policy);
  const [oldest, newest] = [times[0] as number, times.at(-1) as number];
  const begin = startAt ?? Math.ceil((oldest + FIRST_SHARE * (newest - oldest)) / everyMs) * everyMs;
  if (begin <= oldest || begin >= newest) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The replay cannot start at ${iso(begin)}: the rows are from ${iso(oldest)} to ${iso(newest)}`,
    );
  }
  const windows = findWindows(times, begin, { everyMs, rows: policy.window.rows });
  const classValues = plan.task === 'regression' ? undefined : (plan.classes as ClassValue[]);
  const indexOf = new Map(classValues?.map((value, index) => [String(value), index]));
  const labels =
    classValues === undefined
      ? Float64Array.from(targets, Number)
      : Int32Array.from(targets, (target) => indexOf.get(String(target)) as number);
  const { retrain } = config;
  return {
    times,
    labels,
    classes: classValues?.length,
    classValues,
    steps: findSteps(times, begin, everyMs),
    windows,
    firstWindow: windows.findIndex(({ from }) => from >= begin),
    startAt: begin,
    metric: policy.performance.metric ?? defaultMetric(classValues?.length),
    labelDelayMs,
    cooldownMs: durationMs(retrain?.cooldown ?? '0s'),
    project: {
      on: retrain?.on ?? [],
      nextSchedule:
        retrain?.schedule === undefined
          ? undefined
          : (after) => nextCronTime(retrain.schedule as string, retrain.timeZone, after),
    },
  };
}

const defaultMetric = (classes: number | undefined): PerformanceMetric =>
  classes === undefined ? 'rmse' : classes === 2 ? 'roc_auc' : 'log_loss';

/** Windows before and after the start, made of rows as those of serving are. */
function findWindows(
  times: Float64Array,
  startAt: number,
  options: { everyMs: number; rows: number },
): Window[] {
  const HOUR_MS = 3_600_000;
  const byHour = new Map<number, number>();
  for (const time of times) {
    const hour = Math.floor(time / HOUR_MS) * HOUR_MS;
    byHour.set(hour, (byHour.get(hour) ?? 0) + 1);
  }
  const windows: Window[] = [];
  const collect = (hours: Map<number, number>, begin: number | undefined) => {
    let after = begin;
    for (;;) {
      const found = findNextWindow(hours, { ...options, after });
      if (found === undefined) return;
      const { from, to } = found;
      windows.push({ from, to, first: lowerBound(times, from), last: lowerBound(times, to) });
      after = to;
    }
  };
  collect(new Map([...byHour].filter(([hour]) => hour < startAt)), undefined);
  collect(byHour, startAt);
  return windows;
}

/** Spans of the shortest window's length from the start on; those without rows are lived through too. */
function findSteps(times: Float64Array, startAt: number, everyMs: number): Window[] {
  const newest = times.at(-1) as number;
  const steps: Window[] = [];
  for (let from = startAt; from <= newest; from += everyMs) {
    const to = from + everyMs;
    steps.push({ from, to, first: lowerBound(times, from), last: lowerBound(times, to) });
  }
  return steps;
}

function lowerBound(times: Float64Array, at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Trains, judges and serves in the processes; what two policies ask alike is done once. */
function createModelPool(
  request: BacktestRequest,
  parts: {
    table: ReplayTable;
    plan: TrainingPlan;
    replay: PlannedReplay;
    folder: string;
    run: <T>(name: string, input: unknown) => Promise<T>;
  },
): { workers: ReplayWorkers; counts: () => { done: number; shared: number } } {
  const { config } = request;
  const { table, replay, folder, run } = parts;
  const gate = gatePolicySchema.parse(config.gate ?? {});
  const evaluateMs = durationMs(gate.evaluate);
  const windowMs = config.retrain?.window === undefined ? undefined : durationMs(config.retrain.window);
  const trained = new Map<string, Promise<ReplayModel | { failed: string }>>();
  const served = new Map<string, Promise<ReplayedServing>>();
  const judged = new Map<string, Promise<Judgement>>();
  let shared = 0;

  function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
    const before = known.get(key);
    if (before) return before;
    const made = make();
    known.set(key, made);
    return made;
  }

  async function train(
    key: string,
    from: number,
    to: number,
    number: number,
  ): Promise<ReplayModel | { failed: string }> {
    const testFrom = Math.max(to - evaluateMs, Math.floor(from + LEAST_TRAINING_SHARE * (to - from)));
    const place = join(folder, `model-${number}`);
    await mkdir(place);
    const columns = new Set(table.schema.map(({ name }) => name));
    const { train: how, features, data } = config;
    const task: ReplayTraining = {
      folder: place,
      table,
      from,
      to,
      options: {
        name: request.model,
        ignore: (data.ignore ?? []).filter((column) => columns.has(column)),
        ...(features !== undefined && { features }),
        algorithm: how.algorithm,
        params: trainingParameters(how),
        seed: how.seed ?? SEED,
        codeVersion: request.codeVersion,
        testFrom,
      },
    };
    try {
      return { key, number, testFrom, to, trained: await run<ReplayedTraining>('replay-train', task) };
    } catch (error) {
      // Rows that cannot be learned from stop a retraining on a platform too, and nothing else.
      if (error instanceof ApiError && error.code === 'INVALID_PARAMETER_VALUE')
        return { failed: error.message };
      throw error;
    }
  }

  const workers: ReplayWorkers = {
    train(at, isFirst) {
      const to = isFirst ? at : at - replay.labelDelayMs;
      const oldest = replay.times[0] as number;
      const from = windowMs === undefined ? oldest : Math.max(oldest, to - windowMs);
      const key = `${from} ${to}`;
      if (trained.has(key)) shared++;
      return once(trained, key, () => train(key, from, to, trained.size + 1));
    },

    judge(challenger, champion) {
      const input: ReplayJudging = {
        challengerPath: challenger.trained.modelPath,
        championPath: champion.trained.modelPath,
        heldOut: { path: challenger.trained.heldOutPath, sha256: challenger.trained.heldOutSha256 },
        question: {
          ...(gate.metric !== undefined && { metric: gate.metric }),
          alpha: lookAlpha(gate.alpha, 1),
          ...(gate.nonInferiority !== undefined && { margin: gate.nonInferiority }),
          ...(gate.atLeast !== undefined && { atLeast: gate.atLeast }),
          slices: gate.slices,
          ...(gate.cluster !== undefined && { cluster: gate.cluster }),
        },
      };
      return once(judged, `${challenger.key}|${champion.key}`, () => run<Judgement>('replay-judge', input));
    },

    serve(model) {
      return once(served, model.key, async () => {
        const firstRow = lowerBound(replay.times, model.testFrom);
        const windows = replay.windows.map((window, index) => ({ ...window, index }));
        const task: ReplayServing = {
          modelPath: model.trained.modelPath,
          referencePath: model.trained.referencePath,
          table,
          firstRow,
          windows: windows.filter(({ from, index }) => from >= model.to && index >= replay.firstWindow),
        };
        return inOrderOf(replay.classValues, await run<ReplayedServing>('replay-serve', task));
      });
    },
  };
  return { workers, counts: () => ({ done: trained.size, shared }) };
}

/** A window may lack a class: then its model gives it the probability 0. */
function inOrderOf(classes: readonly ClassValue[] | undefined, serving: ReplayedServing): ReplayedServing {
  const own = serving.classes;
  if (classes === undefined || own === undefined) return serving;
  const place = own.map((each) => classes.findIndex((other) => String(other) === String(each)));
  if (place.length === classes.length && place.every((at, index) => at === index)) return serving;
  const rows = serving.answers.length / own.length;
  const answers = new Float32Array(rows * classes.length);
  for (let row = 0; row < rows; row++) {
    for (const [from, to] of place.entries()) {
      answers[row * classes.length + to] = serving.answers[row * own.length + from] as number;
    }
  }
  return { ...serving, answers };
}

function describe(
  { model, policies, holdoutMs }: BacktestRequest,
  replay: PlannedReplay,
  simulated: SimulatedPolicy[],
  trainings: { done: number; shared: number },
): BacktestResult {
  const { times, steps, startAt } = replay;
  const first = (steps[0] as Window).first;
  const last = times.length;
  const to = (times.at(-1) as number) + 1;
  const holdoutFrom = holdoutMs === undefined ? undefined : to - holdoutMs;
  if (holdoutFrom !== undefined && holdoutFrom <= startAt) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The hold-out would begin at ${iso(holdoutFrom)}, before the replay at ${iso(startAt)}: make it shorter`,
    );
  }
  const border = holdoutFrom === undefined ? last : lowerBound(times, holdoutFrom);
  return {
    model,
    rows: times.length,
    from: times[0] as number,
    to,
    startAt,
    holdoutFrom,
    trainings,
    policies: simulated
      .toSorted((a, b) => policies.indexOf(a.policy) - policies.indexOf(b.policy))
      .map(({ answered, ...told }) => ({
        ...told,
        weeks: weeksOf(times, first, last).map(({ week, from, until }) => ({
          week,
          rows: until - from,
          metrics: measureRows(answered, from, until),
        })),
        before: measureRows(answered, first, border),
        holdout: measureRows(answered, border, last),
      })),
  };
}

function weeksOf(times: Float64Array, first: number, last: number) {
  const weeks: { week: number; from: number; until: number }[] = [];
  for (let at = first; at < last; ) {
    const week = Math.floor(((times[at] as number) - MONDAY) / WEEK_MS) * WEEK_MS + MONDAY;
    const until = Math.min(last, lowerBound(times, week + WEEK_MS));
    weeks.push({ week, from: at, until });
    at = until;
  }
  return weeks;
}

const iso = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
