import { mean, type ScoredModel } from './score-model.ts';

/** A challenger may be worse by this share of the champion's metric: below it, a difference is rounding and luck. */
export const TOLERANCE_SHARE = 0.001;
/** For champions whose metric is next to zero. */
const SMALLEST_TOLERANCE = 1e-6;

export interface Comparison {
  metric: 'log_loss' | 'rmse';
  challenger: number;
  champion: number;
  /** Challenger minus champion: negative is better. */
  difference: number;
  /** Standard error of the difference, from the rows' paired losses. */
  standardError: number;
  tolerance: number;
  rows: number;
  verdict: 'not worse' | 'worse';
}

/**
 * Compares two models that were scored on the same rows. For RMSE the paired differences are of squared errors,
 * brought to its unit by rmse_a − rmse_b = (mse_a − mse_b) / (rmse_a + rmse_b).
 */
export function compareLosses(challenger: ScoredModel, champion: ScoredModel): Comparison {
  const differences = challenger.losses.map((loss, row) => loss - (champion.losses[row] ?? Number.NaN));
  const average = mean(differences);
  let squares = 0;
  for (const value of differences) squares += (value - average) ** 2;
  const { length } = differences;
  const spread = length > 1 ? Math.sqrt(squares / (length - 1) / length) : 0;
  const metric = challenger.primary.name;
  const unit = metric === 'rmse' ? challenger.primary.value + champion.primary.value || 1 : 1;
  const difference = average / unit;
  const tolerance = Math.max(SMALLEST_TOLERANCE, TOLERANCE_SHARE * champion.primary.value);
  return {
    metric,
    challenger: challenger.primary.value,
    champion: champion.primary.value,
    difference,
    standardError: spread / unit,
    tolerance,
    rows: length,
    // Anything that is not a number is no proof of being as good.
    verdict: difference <= tolerance ? 'not worse' : 'worse',
  };
}
