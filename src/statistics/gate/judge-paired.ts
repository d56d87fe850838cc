import { ApiError } from '../../platform/index.ts';
import { normalQuantile, studentQuantile } from '../distributions.ts';
import { countWins } from './count-wins.ts';
import { bcaInterval, type Interval, studentInterval } from './intervals.ts';
import {
  indexClusters,
  type PairedMetric,
  type PairedScores,
  type PairedStatistic,
} from './paired-scores.ts';
import { sumLosses } from './sum-losses.ts';

/**
 * From so many clusters on the interval is BCa's; below it is Student's on the clusters' own differences. At 20 clusters
 * BCa's 5 % were 6.9 % in simulation, also without any skewness, and 8.5 % with much; at 50 they were 5.7 % (ADR 0010).
 */
export const BCA_CLUSTERS = 50;
const LEAST_RESAMPLES = 2000;
const RESAMPLES_BEYOND_BOUND = 100;
const MOST_RESAMPLES = 200_000;
/** Of clusters, in all resamples together: what takes about a second. */
const MOST_DRAWS = 1e8;
/** More clusters than this are no advice. */
const MOST_CLUSTERS = 1_000_000;

export type Verdict = 'better' | 'non-inferior' | 'worse' | 'inconclusive';

export interface JudgeOptions {
  metric: PairedMetric;
  /** One-sided: the chance that a challenger which is worse by `delta` passes. */
  alpha: number;
  /** The margin: what a challenger may be worse, in the metric's unit, and still pass. */
  delta: number;
  /** Resamples, when other than 100/alpha between 2,000 and 200,000 (50,000 of 2,000 clusters). */
  bootstrap?: number;
  seed: number;
}

export interface PairedVerdict {
  verdict: Verdict;
  /** Of the difference, positive when the challenger is better: over all rows by BCa, the clusters' mean by t. */
  estimate: number;
  /** One-sided bounds at `alpha`; infinite when there are less than two clusters. */
  lo: number;
  hi: number;
  alpha: number;
  delta: number;
  /** Student's t, widened by its bootstrap, under 50 clusters; the bias-corrected and accelerated bootstrap from there. */
  method: 't' | 'bca';
  /** Those that the interval rests on: for the AUC by t, those that have both classes. */
  clusters: number;
  rows: number;
  /** When inconclusive: about how many more clusters like these would decide, if the difference stays as it is. */
  needClusters?: number;
  /** The metric over all rows. */
  champion: number;
  challenger: number;
}

/**
 * Judges a challenger against the champion on the same rows by an interval [lo, hi] of the paired difference: better if
 * lo > 0, non-inferior if lo > −delta, worse if hi < −delta, else inconclusive. The same input gives the same answer.
 * A hundred resamples lie beyond each bound, of 200,000 at most: an alpha under 0.0005 continues their tail (ADR 0010).
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the arrays do not fit each other or the metric does not fit the task
 */
export function judgePaired(scores: PairedScores, options: JudgeOptions): PairedVerdict {
  const { metric, alpha, delta } = options;
  checkScores(scores, options);
  const index = indexClusters(scores.clusters);
  const statistic = metric === 'roc_auc' ? countWins(scores, index) : sumLosses(scores, metric, index);
  const method = index.count < BCA_CLUSTERS ? 't' : 'bca';
  const { interval, clusters } = intervalOf(statistic, method, index.count, options);
  const verdict = verdictOf(interval, delta);
  const needClusters = verdict === 'inconclusive' ? clustersToDecide(interval, clusters, options) : undefined;
  return {
    verdict,
    estimate: interval.estimate,
    lo: interval.lo,
    hi: interval.hi,
    alpha,
    delta,
    method,
    clusters,
    rows: scores.labels.length,
    ...(needClusters === undefined ? {} : { needClusters }),
    champion: statistic.champion,
    challenger: statistic.challenger,
  };
}

/**
 * What the k-th look at one evaluation set may spend of `alpha`: alpha·6/(π²k²), so that all looks together spend no more
 * than `alpha`, however many there will be.
 */
export function lookAlpha(alpha: number, k: number): number {
  return (alpha * 6) / (Math.PI ** 2 * k ** 2);
}

function intervalOf(
  statistic: PairedStatistic,
  method: 't' | 'bca',
  clusters: number,
  { alpha, delta, bootstrap, seed }: JudgeOptions,
): { interval: Interval; clusters: number } {
  const bounds = { ...resamplesFor(alpha, clusters, bootstrap), alpha, seed };
  if (method === 'bca') return { interval: bcaInterval(statistic.difference, clusters, bounds), clusters };
  const values = statistic.byCluster.filter((value) => !Number.isNaN(value));
  const byT = studentInterval(values, { ...bounds, resamples: 0 });
  // The wider of two: resampling can only take a decision of t away; where t takes none, a few show how wide it is.
  const enough =
    verdictOf(byT, delta) === 'inconclusive'
      ? resamplesFor(alpha, clusters, bootstrap ?? LEAST_RESAMPLES)
      : {};
  return { interval: studentInterval(values, { ...bounds, ...enough }), clusters: values.length };
}

/** How many, and the alpha whose bounds they can tell: the asked one, unless too few of them lie beyond it. */
function resamplesFor(
  alpha: number,
  clusters: number,
  asked: number | undefined,
): { resamples: number; drawnAlpha: number } {
  const most = Math.max(LEAST_RESAMPLES, Math.min(MOST_RESAMPLES, Math.floor(MOST_DRAWS / clusters)));
  const wanted = Math.max(LEAST_RESAMPLES, Math.ceil(RESAMPLES_BEYOND_BOUND / alpha));
  const resamples = asked ?? Math.min(most, wanted);
  if (resamples < LEAST_RESAMPLES) return { resamples, drawnAlpha: alpha };
  return { resamples, drawnAlpha: Math.min(0.5, Math.max(alpha, RESAMPLES_BEYOND_BOUND / resamples)) };
}

function verdictOf({ lo, hi }: Interval, delta: number): Verdict {
  if (lo > 0) return 'better';
  if (lo > -delta) return 'non-inferior';
  return hi < -delta ? 'worse' : 'inconclusive';
}

/** How many clusters more until the bound on the side of −delta would not reach it, about the same estimate. */
function clustersToDecide(
  { estimate, lo, hi }: Interval,
  clusters: number,
  { alpha, delta }: JudgeOptions,
): number | undefined {
  const distance = Math.abs(estimate + delta);
  const reach = estimate > -delta ? estimate - lo : hi - estimate;
  if (!(distance > 0) || !Number.isFinite(reach)) return undefined;
  const quantile = (n: number) =>
    n < BCA_CLUSTERS ? studentQuantile(1 - alpha, n - 1) : normalQuantile(1 - alpha);
  const now = quantile(clusters);
  const reachAt = (n: number) => (reach * Math.sqrt(clusters / n) * quantile(n)) / now;
  if (reachAt(MOST_CLUSTERS) >= distance) return undefined;
  let tooFew = clusters;
  let enough = clusters + 1;
  while (reachAt(enough) >= distance) [tooFew, enough] = [enough, enough * 2];
  while (enough - tooFew > 1) {
    const middle = Math.floor((tooFew + enough) / 2);
    if (reachAt(middle) >= distance) tooFew = middle;
    else enough = middle;
  }
  return enough - clusters;
}

function checkScores(scores: PairedScores, { metric, alpha, delta }: JudgeOptions): void {
  const { labels, champion, challenger, clusters, task, classes } = scores;
  const rows = labels.length;
  const width = task === 'regression' ? 1 : (classes ?? 2);
  for (const [name, actual, expected] of [
    ['champion', champion.length, rows * width],
    ['challenger', challenger.length, rows * width],
    ['clusters', clusters.length, rows],
  ] as const) {
    if (actual !== expected) {
      throw invalid(`${name} has ${actual} values for ${rows} rows, ${expected} would be right`);
    }
  }
  const fits =
    task === 'regression'
      ? metric === 'rmse' || metric === 'mae'
      : metric !== 'rmse' && metric !== 'mae' && (metric !== 'roc_auc' || width === 2);
  if (!fits) throw invalid(`the metric ${metric} does not fit the task ${task}`);
  if (!(alpha > 0 && alpha < 0.5)) throw invalid(`alpha is ${alpha}, between 0 and 0.5 would be right`);
  if (!(delta >= 0)) throw invalid(`delta is ${delta}, 0 or more would be right`);
}

function invalid(reason: string): ApiError {
  return new ApiError('INVALID_PARAMETER_VALUE', `The models cannot be compared: ${reason}`);
}
