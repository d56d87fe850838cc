import { createRandom } from '../../platform/index.ts';
import { normalCdf, normalQuantile, studentQuantile } from '../distributions.ts';

export interface Interval {
  estimate: number;
  lo: number;
  hi: number;
  /** Of the estimate; what more clusters would shrink. */
  standardError: number;
}

/** A one-sided `alpha` bound on either side of the mean of `values`, by Student's t. Infinite with less than two values. */
export function studentInterval(values: ArrayLike<number>, alpha: number): Interval {
  const n = values.length;
  let estimate = 0;
  for (let i = 0; i < n; i++) estimate += values[i]! / n;
  if (n < 2) {
    return {
      estimate: n === 1 ? estimate : Number.NaN,
      lo: Number.NEGATIVE_INFINITY,
      hi: Number.POSITIVE_INFINITY,
      standardError: Number.POSITIVE_INFINITY,
    };
  }
  let squares = 0;
  for (let i = 0; i < n; i++) squares += (values[i]! - estimate) ** 2;
  const standardError = Math.sqrt(squares / (n - 1) / n);
  const reach = studentQuantile(1 - alpha, n - 1) * standardError;
  return { estimate, lo: estimate - reach, hi: estimate + reach, standardError };
}

/**
 * A one-sided `alpha` bound on either side, by the bias-corrected and accelerated bootstrap over clusters.
 *
 * Efron (1987), doi:10.1080/01621459.1987.10478410: the quantiles Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))) of the resamples, z₀
 * from the share of them below the estimate (a tie counts half), a from the jackknife over clusters.
 *
 * @param difference the statistic of clusters taken `weights` times
 * @param resamples how many; 100/alpha keeps a hundred of them beyond each bound
 */
export function bcaInterval(
  difference: (weights: Float64Array) => number,
  clusters: number,
  { alpha, resamples, seed }: { alpha: number; resamples: number; seed: number },
): Interval {
  const weights = new Float64Array(clusters).fill(1);
  const estimate = difference(weights);
  const { acceleration, standardError } = jackknife(difference, weights);
  const random = createRandom(seed);
  const drawn = new Float64Array(resamples);
  let kept = 0;
  let below = 0;
  for (let i = 0; i < resamples; i++) {
    weights.fill(0);
    for (let draw = 0; draw < clusters; draw++) weights[Math.floor(random() * clusters)]!++;
    const value = difference(weights);
    if (Number.isNaN(value)) continue;
    drawn[kept++] = value;
    if (value < estimate) below++;
    else if (value === estimate) below += 0.5;
  }
  if (Number.isNaN(estimate) || kept === 0) return { ...studentInterval([], alpha), estimate };
  const sorted = drawn.subarray(0, kept).sort();
  // Held inside, so that an estimate beyond all resamples gives the outermost one and not NaN.
  const bias = normalQuantile(Math.min(1 - 0.5 / kept, Math.max(0.5 / kept, below / kept)));
  const bound = (p: number) => {
    const shift = bias + normalQuantile(p);
    const slope = 1 - acceleration * shift;
    const share = slope > 0 ? normalCdf(bias + shift / slope) : shift > 0 ? 1 : 0;
    return quantileOf(sorted, share);
  };
  return { estimate, lo: bound(alpha), hi: bound(1 - alpha), standardError };
}

/** Leaves each cluster out in turn. Efron and Tibshirani (1993), An Introduction to the Bootstrap, eq. 14.15 and 11.5. */
function jackknife(
  difference: (weights: Float64Array) => number,
  ones: Float64Array,
): { acceleration: number; standardError: number } {
  const values: number[] = [];
  const weights = ones.slice();
  for (let cluster = 0; cluster < ones.length; cluster++) {
    weights[cluster] = 0;
    const value = difference(weights);
    if (!Number.isNaN(value)) values.push(value);
    weights[cluster] = 1;
  }
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  let squares = 0;
  let cubes = 0;
  for (const value of values) {
    squares += (mean - value) ** 2;
    cubes += (mean - value) ** 3;
  }
  return {
    acceleration: squares > 0 ? cubes / (6 * squares ** 1.5) : 0,
    standardError: Math.sqrt((squares * (values.length - 1)) / values.length),
  };
}

/** Linear between the order statistics, as the default of numpy.quantile. */
function quantileOf(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}
