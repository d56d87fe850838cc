import type { TrainingPlan } from '../../datasets/index.ts';
import { nextCronTime } from '../../jobs/index.ts';
import type { ClassValue } from '../../models/index.ts';
import { findNextWindow, type PerformanceMetric, policyTimes } from '../../monitoring/index.ts';
import { ApiError } from '../../platform/index.ts';
import { durationMs, monitorPolicySchema } from '../project/policy-schemas.ts';
import type { BacktestRequest } from './backtest-request.ts';
import type { LoadedTimes, Window } from './replay-tasks.ts';
import type { Replay } from './simulate-policy.ts';

const FIRST_SHARE = 0.2;

/** A replay with what its models are trained and judged by. */
export interface PlannedReplay extends Replay {
  startAt: number;
  classValues: readonly ClassValue[] | undefined;
}

/** Lays the rows out in windows and steps, with labels as the trainer has them. */
export function planReplay(
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
      `The replay cannot start at ${isoDay(begin)}: the rows are from ${isoDay(oldest)} to ${isoDay(newest)}`,
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
    minimumGain: retrain?.minimumGain ?? 0,
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

/** The first row that happened at a time or later. */
export function lowerBound(times: Float64Array, at: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((times[middle] as number) < at) low = middle + 1;
    else high = middle;
  }
  return low;
}

export const isoDay = (ms: number): string => new Date(ms).toISOString().slice(0, 10);
