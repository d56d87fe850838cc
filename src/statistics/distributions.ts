import { regularisedBeta, regularisedGamma } from './special-functions.ts';

/** Acklam's rational approximation of the normal quantile: 9 digits, which two Newton steps double. */
const CENTRE_TOP = [
  -39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716,
  2.506628277459239,
];
const CENTRE_BOTTOM = [
  -54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1,
];
const TAIL_TOP = [
  -0.007784894002430293, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968,
  2.938163982698783,
];
const TAIL_BOTTOM = [0.007784695709041462, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
const TAIL_BELOW = 0.02425;

/** Density of the standard normal distribution. */
export function normalDensity(x: number): number {
  return Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
}

/** P(Z <= x) of the standard normal distribution; the far tail keeps its digits. */
export function normalCdf(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  const { lower, upper } = regularisedGamma(0.5, (x * x) / 2);
  return x < 0 ? upper / 2 : 0.5 + lower / 2;
}

/** The x with P(Z <= x) = p. */
export function normalQuantile(p: number): number {
  if (!(p >= 0 && p <= 1)) return Number.NaN;
  if (p === 0 || p === 1) return p === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (p > 0.5) return -normalQuantile(1 - p);
  let x: number;
  if (p < TAIL_BELOW) {
    const q = Math.sqrt(-2 * Math.log(p));
    x = polynomial(TAIL_TOP, q) / polynomial(TAIL_BOTTOM, q);
  } else {
    const q = p - 0.5;
    x = (q * polynomial(CENTRE_TOP, q * q)) / polynomial(CENTRE_BOTTOM, q * q);
  }
  for (let step = 0; step < 2; step++) {
    const density = normalDensity(x);
    if (density > 0) x -= (normalCdf(x) - p) / density;
  }
  return x;
}

function polynomial(coefficients: readonly number[], x: number): number {
  let value = 0;
  for (const coefficient of coefficients) value = value * x + coefficient;
  return value;
}

/** P(T <= t) of Student's t with `df` > 0 degrees of freedom; Abramowitz and Stegun 26.7.1. */
export function studentCdf(t: number, df: number): number {
  if (Number.isNaN(t) || !(df > 0)) return Number.NaN;
  if (!Number.isFinite(t)) return t < 0 ? 0 : 1;
  const square = t * t;
  const tail = regularisedBeta(df / 2, 0.5, df / (df + square), square / (df + square)) / 2;
  return t < 0 ? tail : 1 - tail;
}

/** The t with P(T <= t) = p, by bisection between bounds that hold it. */
export function studentQuantile(p: number, df: number): number {
  if (!(p >= 0 && p <= 1) || !(df > 0)) return Number.NaN;
  if (p === 0 || p === 1) return p === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
  if (p > 0.5) return -studentQuantile(1 - p, df);
  if (p === 0.5) return 0;
  let low = -1;
  while (studentCdf(low, df) > p) low *= 2;
  let high = low === -1 ? 0 : low / 2;
  for (let step = 0; step < 200 && high - low > Math.abs(low) * 1e-15; step++) {
    const middle = (low + high) / 2;
    if (studentCdf(middle, df) > p) high = middle;
    else low = middle;
  }
  return (low + high) / 2;
}

/** P(χ²_df > x). */
export function chiSquareSurvival(x: number, df: number): number {
  if (Number.isNaN(x) || !(df > 0)) return Number.NaN;
  return regularisedGamma(df / 2, x / 2).upper;
}
