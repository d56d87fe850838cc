import { studentQuantile } from '../../statistics/index.ts';
import type { Cause } from './find-causes.ts';

/** A closed window of the version that serves, as far as its performance is known. */
export interface LabelledWindow {
  from: number;
  to: number;
  performanceState?: string | undefined;
  performance?:
    | {
        metric: string;
        /** More is better: the metric, or for a loss the share of a guesser's loss that is avoided. */
        skill?: number | undefined;
        /** What the version reached on the windows that it is compared with. */
        referenceMean?: number | undefined;
        referenceSd?: number | undefined;
        referenceWindows?: number | undefined;
      }
    | undefined;
}

/** What a retraining can be expected to win back, in the metric that the performance is watched in. */
export interface ExpectedGain {
  metric: string;
  /** The shortfall against the version's own baseline; nothing when it does as well or better. */
  gain: number;
  /** 95 % interval of the shortfall; below zero the version does better than its baseline. */
  low: number;
  high: number;
  /** How many labelled windows it is of, and what they reached. */
  windows: number;
  reached: number;
  baseline: { mean: number; windows: number };
}

/** An estimate, or why there is none. */
export type GainEstimate = ExpectedGain | { unknown: string };

/** New data has no beginning as an alarm has: then the newest so many labelled windows tell how the version does. */
export const RECENT_WINDOWS = 5;
const TWO_SIDED = 0.975;

/**
 * The shortfall of windows against the reference windows' mean, with the t interval of a difference of two means whose
 * days vary as the reference's do: (mean − reached) ± t_{k−1}·sd·√(1/n + 1/k).
 */
export function shortfallOf(
  reference: { mean: number; sd: number; windows: number },
  skills: readonly number[],
): { gain: number; low: number; high: number; reached: number } {
  const reached = skills.reduce((sum, skill) => sum + skill, 0) / skills.length;
  const shortfall = reference.mean - reached;
  const half =
    studentQuantile(TWO_SIDED, reference.windows - 1) *
    reference.sd *
    Math.sqrt(1 / skills.length + 1 / reference.windows);
  // The gate keeps what is worse out, so that no retraining is expected to lose.
  return { gain: Math.max(0, shortfall), low: shortfall - half, high: shortfall + half, reached };
}

/**
 * @param windows of the version that serves, in any order
 * @param since the beginning of the window that raised the alarm; undefined: the newest windows count
 */
export function estimateGain(windows: readonly LabelledWindow[], since: number | undefined): GainEstimate {
  const labelled = windows
    // A handful of labels says too little to be compared, or to be a mean's equal part.
    .filter(
      (window) => window.performance?.skill !== undefined && window.performanceState !== 'too few labels',
    )
    .toSorted((a, b) => b.from - a.from);
  if (labelled.length === 0) return { unknown: 'no window of the version that serves has its labels yet' };
  const counted =
    since === undefined ? labelled.slice(0, RECENT_WINDOWS) : labelled.filter(({ to }) => to > since);
  if (counted.length === 0) return { unknown: 'no window since the alarm has its labels yet' };
  // A window that is measured but not tested, such as part of a day, tells no baseline; another one does.
  const tested = counted.find(({ performance }) => (performance?.referenceWindows ?? 0) >= 2)?.performance;
  const { metric, referenceMean: mean, referenceSd: sd, referenceWindows = 0 } = tested ?? {};
  if (metric === undefined || mean === undefined || sd === undefined) {
    return { unknown: 'there is no baseline yet: too few labelled windows to compare with' };
  }
  const skills = counted.flatMap(({ performance }) =>
    performance?.metric === metric ? (performance.skill ?? []) : [],
  );
  const found = shortfallOf({ mean, sd, windows: referenceWindows }, skills);
  return { metric, ...found, windows: skills.length, baseline: { mean, windows: referenceWindows } };
}

/** Causes that a project may find not worth a retraining; who schedules or asks has decided already. */
export const isWeighed = ({ kind }: Pick<Cause, 'kind'>): boolean =>
  kind === 'drift' || kind === 'performance' || kind === 'newData';

/** Undefined when a retraining is worth it, or nothing can be said. */
export function notWorthwhile(estimate: GainEstimate, minimumGain: number): string | undefined {
  if ('unknown' in estimate || estimate.gain >= minimumGain) return undefined;
  return `not worth it: ${describeExpectedGain(estimate)}, and retrain.minimumGain is ${minimumGain}`;
}

/** An estimate in words. */
export function describeExpectedGain(estimate: GainEstimate): string {
  if ('unknown' in estimate) return `expected gain unknown: ${estimate.unknown}`;
  const { metric, gain, low, high, windows, reached, baseline } = estimate;
  const over = windows === 1 ? '1 labelled window' : `${windows} labelled windows`;
  return `expected gain ${rounded(gain)} ${unitOf(metric)} (95 %: ${rounded(low)} to ${rounded(high)}): ${rounded(reached)} in ${over}, baseline ${rounded(baseline.mean)}`;
}

/** Losses are told as the share of a guesser's loss that is avoided, or they would say as much about the days. */
const unitOf = (metric: string): string =>
  metric === 'roc_auc' || metric === 'accuracy' ? metric : `${metric} as skill`;

const rounded = (value: number): string => String(Number(value.toFixed(4)));

/** As it is kept with a decision and goes over the wire. */
export function gainToDetail(estimate: GainEstimate): Record<string, unknown> {
  return 'unknown' in estimate ? { unknown: estimate.unknown } : { ...estimate };
}
