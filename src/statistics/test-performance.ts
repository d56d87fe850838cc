import { studentCdf } from './distributions.ts';

const SMALLEST_P = 1e-12;
/** Windows that agree to the last digit do not prove that the next one will: a thousandth of the mean is granted. */
const LEAST_RELATIVE_SD = 0.001;

/**
 * Is a window's metric, where more is better, lower than the reference windows' own spread explains?
 *
 * p = P(t_{k−1} > (mean − v)/(sd·√(1 + 1/k))): the prediction interval for one more normal observation (Hahn and Meeker,
 * Statistical Intervals, 1991, section 4.7). Days, not rows, are the observations. p is NaN with less than two windows.
 */
export function testPerformance(
  reference: readonly number[],
  value: number,
): { p: number; mean: number; sd: number; k: number } {
  const k = reference.length;
  const mean = reference.reduce((sum, each) => sum + each, 0) / k;
  if (k < 2) return { p: Number.NaN, mean, sd: Number.NaN, k };
  const sd = Math.sqrt(reference.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (k - 1));
  const granted = Math.max(sd, LEAST_RELATIVE_SD * Math.abs(mean), 1e-12);
  const t = (mean - value) / (granted * Math.sqrt(1 + 1 / k));
  return { p: Math.min(1, Math.max(SMALLEST_P, studentCdf(-t, k - 1))), mean, sd, k };
}
