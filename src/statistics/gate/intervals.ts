import { createRandom } from '../../platform/index.ts';
import { normalCdf, normalQuantile, studentQuantile } from '../distributions.ts';

/** A resample whose squares are below this share of the sample's took one value, over and over. */
const SMALLEST_SPREAD = 1e-12;

export interface Interval {
  estimate: number;
  lo: number;
  hi: number;
}

export interface BoundOptions {
  /** One-sided, on either side. */
  alpha: number;
  /** How many; 100/alpha keeps a hundred of them beyond each bound. */
  resamples: number;
  /** The alpha that so many can tell of; from there to a smaller `alpha` their tail goes on as t's or the normal one. */
  drawnAlpha?: number;
  seed: number;
}

/**
 * Bounds of the mean of a few clusters' values: on either side the wider of Student's t and the studentised bootstrap.
 *
 * t alone is right for symmetric clusters, and promises too much where a rare bad day has not been met yet; the
 * resampled t-statistics (Efron 1982; Hall 1988, doi:10.1214/aos/1176350933) know the skewness that the sample shows.
 * ADR 0010 has the error rates. Infinite with less than two values.
 */
export function studentInterval(
  values: Float64Array,
  { alpha, resamples, drawnAlpha = alpha, seed }: BoundOptions,
): Interval {
  const n = values.length;
  const estimate = meanOf(values);
  if (n < 2) {
    return { estimate, lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };
  }
  let squares = 0;
  for (const value of values) squares += (value - estimate) ** 2;
  const standardError = Math.sqrt(squares / (n - 1) / n);
  const t = studentQuantile(1 - alpha, n - 1);
  const drawn = resampleT(values, estimate, squares, { resamples, seed });
  const stretch = t / studentQuantile(1 - drawnAlpha, n - 1);
  const below = drawn.length > 0 ? Math.max(t, stretch * quantileOf(drawn, 1 - drawnAlpha)) : t;
  const above = drawn.length > 0 ? Math.max(t, -stretch * quantileOf(drawn, drawnAlpha)) : t;
  return { estimate, lo: estimate - below * standardError, hi: estimate + above * standardError };
}

/** Sorted t-statistics of resamples about the estimate. Those of one value only have no spread, and are left out. */
function resampleT(
  values: Float64Array,
  estimate: number,
  squares: number,
  { resamples, seed }: Pick<BoundOptions, 'resamples' | 'seed'>,
): Float64Array {
  const n = values.length;
  const distances = values.map((value) => value - estimate);
  const random = createRandom(seed);
  const drawn = new Float64Array(resamples);
  let kept = 0;
  for (let i = 0; i < resamples; i++) {
    let sum = 0;
    let sumOfSquares = 0;
    for (let draw = 0; draw < n; draw++) {
      const distance = distances[Math.floor(random() * n)]!;
      sum += distance;
      sumOfSquares += distance * distance;
    }
    const spread = sumOfSquares - (sum * sum) / n;
    if (spread > SMALLEST_SPREAD * squares) drawn[kept++] = sum / Math.sqrt((spread * n) / (n - 1));
  }
  return drawn.subarray(0, kept).sort();
}

/**
 * A one-sided `alpha` bound on either side, by the bias-corrected and accelerated bootstrap over clusters.
 *
 * Efron (1987), doi:10.1080/01621459.1987.10478410: the quantiles Φ(z₀ + (z₀ + z)/(1 − a(z₀ + z))) of the resamples, z₀
 * from the share of them below the estimate (a tie counts half), a from the jackknife over clusters.
 *
 * @param difference the statistic of clusters taken `weights` times
 */
export function bcaInterval(
  difference: (weights: Float64Array) => number,
  clusters: number,
  { alpha, resamples, drawnAlpha = alpha, seed }: BoundOptions,
): Interval {
  const weights = new Float64Array(clusters).fill(1);
  const estimate = difference(weights);
  const acceleration = accelerationOf(difference, weights);
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
  if (Number.isNaN(estimate) || kept === 0) {
    return { estimate, lo: Number.NEGATIVE_INFINITY, hi: Number.POSITIVE_INFINITY };
  }
  const sorted = drawn.subarray(0, kept).sort();
  // Held inside, so that an estimate beyond all resamples gives the outermost one and not NaN.
  const bias = normalQuantile(Math.min(1 - 0.5 / kept, Math.max(0.5 / kept, below / kept)));
  const bound = (p: number) => {
    const shift = bias + normalQuantile(p);
    const slope = 1 - acceleration * shift;
    const share = slope > 0 ? normalCdf(bias + shift / slope) : shift > 0 ? 1 : 0;
    return quantileOf(sorted, share);
  };
  const stretch = normalQuantile(1 - alpha) / normalQuantile(1 - drawnAlpha);
  return {
    estimate,
    lo: estimate + stretch * (bound(drawnAlpha) - estimate),
    hi: estimate + stretch * (bound(1 - drawnAlpha) - estimate),
  };
}

/** By the jackknife over clusters: Efron and Tibshirani (1993), An Introduction to the Bootstrap, eq. 14.15. */
function accelerationOf(difference: (weights: Float64Array) => number, ones: Float64Array): number {
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
  return squares > 0 ? cubes / (6 * squares ** 1.5) : 0;
}

/** Linear between the order statistics, as the default of numpy.quantile. */
function quantileOf(sorted: Float64Array, share: number): number {
  const place = share * (sorted.length - 1);
  const low = Math.floor(place);
  const high = Math.min(sorted.length - 1, low + 1);
  return sorted[low]! + (place - low) * (sorted[high]! - sorted[low]!);
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
