import type { PerformanceMetric, skillOf } from '../../monitoring/index.ts';
import { brier, logLoss, mae, mostProbableClass, r2, rmse, rocAuc } from '../../statistics/index.ts';

/** Answers to the rows of a replay, in their order. */
export interface Answered {
  /** Class indexes, or values. */
  labels: Int32Array | Float64Array;
  /** `[rows, classes]` probabilities, or values. */
  answers: Float32Array;
  /** Undefined for values. */
  classes: number | undefined;
}

/** The metrics that a backtest tells, of the rows `first` to `last`; what cannot be computed is left out. */
export function measureRows(answered: Answered, first: number, last: number): Record<string, number> {
  const { classes } = answered;
  if (last <= first) return {};
  const { labels, answers } = part(answered, first, last);
  const found: Record<string, number> =
    classes === undefined
      ? { rmse: rmse(labels, answers), mae: mae(labels, answers), r2: r2(labels, answers) }
      : {
          ...(classes === 2 && { roc_auc: rocAuc(labels, positives(answers)) }),
          log_loss: logLoss(labels, answers, classes),
          brier: brier(labels, answers, classes),
          accuracy: shareRight(labels, mostProbableClass(answers, classes)),
        };
  return Object.fromEntries(Object.entries(found).filter(([, value]) => Number.isFinite(value)));
}

type Measured = Parameters<typeof skillOf>[1];

/** A window's performance as the log measures it: the metric, the loss, and the loss of saying the window's own base rate. */
export function measureWindow(
  answered: Answered,
  metric: PerformanceMetric,
  { from, to, first, last }: { from: number; to: number; first: number; last: number },
): Measured {
  const value = measureRows(answered, first, last)[metric];
  const { labels, answers } = part(answered, first, last);
  const rows = last - first;
  const { classes } = answered;
  const loss =
    rows === 0
      ? undefined
      : classes === undefined
        ? rmse(labels, answers) ** 2
        : logLoss(labels, answers, classes);
  return {
    from,
    to,
    rows,
    labelled: rows,
    value,
    loss,
    baseline: rows === 0 ? undefined : baselineOf(labels, classes),
  };
}

function baselineOf(labels: Int32Array | Float64Array, classes: number | undefined): number {
  const rows = labels.length;
  if (classes === undefined) {
    let sum = 0;
    for (const label of labels) sum += label;
    let squares = 0;
    for (const label of labels) squares += (label - sum / rows) ** 2;
    return squares / rows;
  }
  const counts = new Float64Array(classes);
  for (const label of labels) counts[label]!++;
  let entropy = 0;
  for (const count of counts) if (count > 0) entropy -= (count / rows) * Math.log(count / rows);
  return entropy;
}

function shareRight(labels: ArrayLike<number>, predicted: Int32Array): number {
  let right = 0;
  for (let row = 0; row < predicted.length; row++) if (predicted[row] === labels[row]) right++;
  return right / predicted.length;
}

function part({ labels, answers, classes = 1 }: Answered, first: number, last: number) {
  return {
    labels: labels.subarray(first, last),
    answers: answers.subarray(first * classes, last * classes),
  };
}

const positives = (answers: Float32Array): Float32Array =>
  Float32Array.from({ length: answers.length / 2 }, (_, row) => answers[2 * row + 1] as number);
