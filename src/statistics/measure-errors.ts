type Numbers = ArrayLike<number>;

/** Root of the mean squared error, in the target's unit; NaN without rows. */
export function rmse(actual: Numbers, predicted: Numbers, weights?: Numbers): number {
  return Math.sqrt(meanOf(actual.length, weights, (i) => (actual[i]! - predicted[i]!) ** 2));
}

/** Mean absolute error, in the target's unit; NaN without rows. */
export function mae(actual: Numbers, predicted: Numbers, weights?: Numbers): number {
  return meanOf(actual.length, weights, (i) => Math.abs(actual[i]! - predicted[i]!));
}

/**
 * Coefficient of determination, 1 − SSE/SST: the share of the variance that the prediction explains.
 *
 * Draper and Smith, Applied Regression Analysis (1998), section 1.3. Negative when worse than the mean of `actual`; NaN
 * when `actual` does not vary, because then there is nothing to explain.
 */
export function r2(actual: Numbers, predicted: Numbers, weights?: Numbers): number {
  const rows = actual.length;
  const mean = meanOf(rows, weights, (i) => actual[i]!);
  const residual = meanOf(rows, weights, (i) => (actual[i]! - predicted[i]!) ** 2);
  const spread = meanOf(rows, weights, (i) => (actual[i]! - mean) ** 2);
  return spread > 0 ? 1 - residual / spread : Number.NaN;
}

/** Weighted by `weights` where there are some. */
function meanOf(rows: number, weights: Numbers | undefined, measure: (row: number) => number): number {
  let sum = 0;
  let total = 0;
  for (let row = 0; row < rows; row++) {
    const weight = weights ? weights[row]! : 1;
    sum += weight * measure(row);
    total += weight;
  }
  return sum / total;
}
