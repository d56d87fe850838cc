import { psiOfCounts, sumOfCounts } from './compare-counts.ts';
import { chiSquareSurvival, normalCdf, normalDensity } from './distributions.ts';
import { gaussLegendre } from './gauss-legendre.ts';

/** Variance between windows that harmless day effects are granted at least: effects of 0.05 sd, about. */
export const LEAST_DAY_VARIANCE = 0.0026;
/** What the reference's windows show of it, times this: they are few, and the next days may be wilder. */
const VARIANCE_FACTOR = 2;
export const SMALLEST_P = 1e-12;
/** Beyond this many standard deviations the normal has less than a tenth of `SMALLEST_P`. */
const NORMAL_RANGE = 8;
const NODES = gaussLegendre(40);

export interface Homogeneity {
  /** Pearson's chi-square of the two rows of counts. */
  statistic: number;
  /** Bins that have rows, less one. */
  df: number;
  /** 1e-12 to 1; 1 when nothing can be compared. */
  p: number;
  psi: number;
}

/**
 * Between-window variance s² of one column: twice the mean debiased PSI of the reference's own windows, each against
 * the rest, at least 0.0026.
 *
 * PSI − df·(1/n + 1/m) estimates what n and m rows alone do not explain. Half a row is added to every bin, because
 * a bin that is empty by chance would make the logarithm, and so the variance, as large as one pleases.
 *
 * @param referenceWindows counts by bin of each window of the reference
 * @param total their sum
 */
export function dayVariance(referenceWindows: readonly Float64Array[], total: Float64Array): number {
  let sum = 0;
  let windows = 0;
  let bins = 0;
  for (const count of total) if (count > 0) bins++;
  const m = sumOfCounts(total);
  for (const window of referenceWindows) {
    const n = sumOfCounts(window);
    if (n === 0 || n >= m) continue;
    let psi = 0;
    for (let i = 0; i < total.length; i++) {
      if (total[i] === 0) continue;
      const here = (window[i]! + 0.5) / (n + bins / 2);
      const rest = (total[i]! - window[i]! + 0.5) / (m - n + bins / 2);
      psi += (here - rest) * Math.log(here / rest);
    }
    sum += psi - (bins - 1) * (1 / n + 1 / (m - n));
    windows++;
  }
  const mean = windows > 0 ? sum / windows : 0;
  return Math.max(LEAST_DAY_VARIANCE, VARIANCE_FACTOR * mean);
}

/**
 * Do a window's counts differ from the reference's by more than day effects of variance `s2` and chance explain?
 *
 * Pearson's chi-square of homogeneity x has, without day effects, df degrees of freedom. A day effect moves all bins
 * along one direction, and so widens one of the df components by a = 1 + s²·nm/(n + m):
 * p = P(a·χ²₁ + χ²_{df−1} > x). With s² = 0 it is the textbook test (Cramér 1946, section 30.6).
 */
export function testHomogeneity(window: Float64Array, reference: Float64Array, s2: number): Homogeneity {
  const n = sumOfCounts(window);
  const m = sumOfCounts(reference);
  if (n === 0 || m === 0) return { statistic: 0, df: 0, p: 1, psi: 0 };
  let sum = 0;
  let bins = 0;
  for (let i = 0; i < window.length; i++) {
    const both = window[i]! + reference[i]!;
    if (both === 0) continue;
    bins++;
    const distance = window[i]! * m - reference[i]! * n;
    sum += (distance / both) * distance;
  }
  const df = bins - 1;
  if (df === 0) return { statistic: 0, df, p: 1, psi: 0 };
  const statistic = sum / (n * m);
  const a = 1 + (s2 * n * m) / (n + m);
  const p = widenedSurvival(statistic, df, a);
  return { statistic, df, p: Math.min(1, Math.max(SMALLEST_P, p)), psi: psiOfCounts(reference, window) };
}

/**
 * P(a·χ²₁ + χ²_{df−1} > x) for a >= 1.
 *
 * With Z normal it is 2·P(Z > √(x/a)) + 2∫₀^√(x/a) φ(z)·P(χ²_{df−1} > x − a·z²) dz; z = √(x/a)·sin θ makes the inside
 * smooth up to the end, so that 40 Gauss-Legendre nodes give at least six digits, mostly fifteen.
 */
export function widenedSurvival(x: number, df: number, a: number): number {
  if (!(x > 0)) return 1;
  const end = Math.sqrt(x / a);
  const outside = 2 * normalCdf(-end);
  if (df === 1) return outside;
  if (a === 1) return chiSquareSurvival(x, df);
  const halfAngle = Math.asin(Math.min(1, NORMAL_RANGE / end)) / 2;
  let integral = 0;
  for (const { node, weight } of NODES) {
    const angle = halfAngle * (1 + node);
    const z = end * Math.sin(angle);
    const cosine = Math.cos(angle);
    integral += weight * normalDensity(z) * cosine * chiSquareTail((x / 2) * cosine * cosine, df - 1);
  }
  return outside + 2 * end * halfAngle * integral;
}

/**
 * P(χ²_k > 2y): for even k the Poisson sum e^{−y} Σ_{j<k/2} y^j/j!, all terms positive; for odd k, or many terms, the
 * incomplete gamma function.
 */
function chiSquareTail(y: number, k: number): number {
  if (k % 2 === 1 || k > 60) return chiSquareSurvival(2 * y, k);
  let term = Math.exp(-y);
  let sum = term;
  for (let j = 1; j < k / 2; j++) {
    term *= y / j;
    sum += term;
  }
  return sum;
}
