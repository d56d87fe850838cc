import { logLoss, rocAuc } from '../../statistics/index.ts';

/** A request that was answered and whose truth is known, with what one version alone would have said to it. */
export interface Scored {
  isTrue: boolean;
  /** The probability in the answer. */
  answered: number;
  /** The probability of the version that was never replaced. */
  unchanged: number;
}

/** How good answers were, beside those of a model that is never retrained; `null` where it cannot be told. */
export interface ScoreComparison {
  auc: number | null;
  auc_never_retrained: number | null;
  log_loss: number | null;
  log_loss_never_retrained: number | null;
}

/** AUC and log loss of both; `null` without rows, the AUC also where all truths are alike. */
export function compareScores(scored: readonly Scored[]): ScoreComparison {
  const labels = Int32Array.from(scored, ({ isTrue }) => (isTrue ? 1 : 0));
  const measure = (probabilityOf: (each: Scored) => number) => {
    if (scored.length === 0) return { auc: null, loss: null };
    const positive = Float64Array.from(scored, probabilityOf);
    const both = Float64Array.from({ length: 2 * scored.length }, (_, i) =>
      i % 2 === 1 ? (positive[i >> 1] as number) : 1 - (positive[i >> 1] as number),
    );
    return { auc: rounded(rocAuc(labels, positive)), loss: rounded(logLoss(labels, both, 2)) };
  };
  const loop = measure(({ answered }) => answered);
  const never = measure(({ unchanged }) => unchanged);
  return {
    auc: loop.auc,
    auc_never_retrained: never.auc,
    log_loss: loop.loss,
    log_loss_never_retrained: never.loss,
  };
}

/** Four decimals; `null` for what is no number. */
export const rounded = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : Math.round(value * 1e4) / 1e4;
