/** Root of the mean squared error, in the target's unit; NaN without rows. */
export function rmse(
  actual: ArrayLike<number>,
  predicted: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < actual.length; i++) {
    const weight = weights ? weights[i]! : 1;
    sum += weight * (actual[i]! - predicted[i]!) ** 2;
    total += weight;
  }
  return Math.sqrt(sum / total);
}

/** Mean absolute error, in the target's unit; NaN without rows. */
export function mae(
  actual: ArrayLike<number>,
  predicted: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < actual.length; i++) {
    const weight = weights ? weights[i]! : 1;
    sum += weight * Math.abs(actual[i]! - predicted[i]!);
    total += weight;
  }
  return sum / total;
}

/**
 * Coefficient of determination, 1 − SSE/SST: the share of the variance that the prediction explains.
 *
 * Draper and Smith, Applied Regression Analysis (1998), section 1.3. Negative when worse than the mean of `actual`; NaN
 * when `actual` does not vary, because then there is nothing to explain.
 */
export function r2(
  actual: ArrayLike<number>,
  predicted: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  let total = 0;
  let sum = 0;
  for (let i = 0; i < actual.length; i++) {
    const weight = weights ? weights[i]! : 1;
    sum += weight * actual[i]!;
    total += weight;
  }
  const mean = sum / total;
  let residual = 0;
  let spread = 0;
  for (let i = 0; i < actual.length; i++) {
    const weight = weights ? weights[i]! : 1;
    residual += weight * (actual[i]! - predicted[i]!) ** 2;
    spread += weight * (actual[i]! - mean) ** 2;
  }
  return spread > 0 ? 1 - residual / spread : Number.NaN;
}
