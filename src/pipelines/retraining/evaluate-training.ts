import type { TrainedModel } from './train-window.ts';

export interface Evaluated {
  metrics: Record<string, number>;
  /** Undefined when there are no held-out rows, or nothing to compare with. */
  isBetterThanGuessing?: boolean;
  summary: string;
}

/** What says most about each task, with its direction. */
const TOLD = [
  { metric: 'log_loss', less: true },
  { metric: 'rmse', less: true },
] as const;

/** Compares the held-out metrics with those of always saying the base rate or the mean. */
export function evaluateTraining(trained: Pick<TrainedModel, 'metrics' | 'heldOutRows'>): Evaluated {
  const { metrics, heldOutRows } = trained;
  if (heldOutRows === 0) return { metrics, summary: 'no rows were held out, so nothing is known of it' };
  for (const { metric } of TOLD) {
    const value = metrics[metric];
    const guess = metrics[`baseline_${metric}`];
    if (value === undefined || guess === undefined) continue;
    const isBetterThanGuessing = value < guess;
    const auc = metrics['roc_auc'] === undefined ? '' : `, roc_auc ${short(metrics['roc_auc'])}`;
    return {
      metrics,
      isBetterThanGuessing,
      summary: `${metric} ${short(value)} on ${heldOutRows} held-out rows (${isBetterThanGuessing ? 'a guess' : 'no better than a guess'}: ${short(guess)})${auc}`,
    };
  }
  return { metrics, summary: `measured on ${heldOutRows} held-out rows` };
}

const short = (value: number) => String(Number(value.toPrecision(4)));
