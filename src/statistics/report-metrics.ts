import { accuracy, baseRates, type ClassScores, confusionMatrix, perClass } from './count-classes.ts';
import { mae, r2, rmse } from './measure-errors.ts';
import { macroAuc, rocAuc } from './rank-scores.ts';
import { brier, logLoss, mostProbableClass } from './score-probabilities.ts';

/** A metric that cannot be computed (an AUC of one class, say) is null: missing, never zero. */
export type Metric = number | null;

export interface ClassificationReport {
  rows: number;
  metrics: { roc_auc: Metric; log_loss: Metric; brier: Metric; accuracy: Metric; f1_macro: Metric };
  /** The same metrics of a guesser that always answers the base rates. */
  baseline: { roc_auc: Metric; log_loss: Metric; brier: Metric; accuracy: Metric; f1_macro: Metric };
  perClass: (ClassScores & { class: string | number | boolean })[];
  /** `confusion[actual][predicted]`. */
  confusion: number[][];
}

export interface RegressionReport {
  rows: number;
  metrics: { rmse: Metric; mae: Metric; r2: Metric };
  /** The same metrics of a guesser that always answers the given mean. */
  baseline: { rmse: Metric; mae: Metric; r2: Metric };
}

const known = (value: number): Metric => (Number.isFinite(value) ? value : null);

/**
 * Every metric of a classifier on rows that it has not seen, beside those of a guesser.
 *
 * @param labels class index of each row
 * @param probabilities `[rows, classes.length]`, row by row
 * @param guess the guesser's probabilities, best the training rows' base rates; else those of `labels`
 */
export function classificationReport(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classes: readonly (string | number | boolean)[],
  guess?: ArrayLike<number>,
): ClassificationReport {
  const rates = guess ?? baseRates(labels, classes.length);
  const guesses = new Float64Array(labels.length * classes.length);
  for (let i = 0; i < guesses.length; i++) guesses[i] = rates[i % classes.length]!;
  const matrix = confusionMatrix(labels, mostProbableClass(probabilities, classes.length), classes.length);
  return {
    rows: labels.length,
    metrics: classificationMetrics(labels, probabilities, classes.length),
    baseline: classificationMetrics(labels, guesses, classes.length),
    perClass: perClass(matrix).map((scores, k) => ({ class: classes[k]!, ...scores })),
    confusion: classes.map((_, k) => [
      ...matrix.counts.subarray(k * classes.length, (k + 1) * classes.length),
    ]),
  };
}

function classificationMetrics(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classCount: number,
) {
  const matrix = confusionMatrix(labels, mostProbableClass(probabilities, classCount), classCount);
  const scores = perClass(matrix).filter((scores) => scores.support > 0);
  return {
    roc_auc: known(
      classCount === 2
        ? rocAuc(labels, secondColumn(probabilities))
        : macroAuc(labels, probabilities, classCount),
    ),
    log_loss: known(logLoss(labels, probabilities, classCount)),
    brier: known(brier(labels, probabilities, classCount)),
    accuracy: known(accuracy(matrix)),
    f1_macro: known(scores.reduce((sum, { f1 }) => sum + f1, 0) / scores.length),
  };
}

function secondColumn(probabilities: ArrayLike<number>): Float64Array {
  const column = new Float64Array(probabilities.length / 2);
  for (let i = 0; i < column.length; i++) column[i] = probabilities[2 * i + 1]!;
  return column;
}

/**
 * Every metric of a regression on rows that it has not seen, beside those of a guesser.
 *
 * @param guess what the guesser answers, best the training rows' mean; else that of `actual`
 */
export function regressionReport(
  actual: ArrayLike<number>,
  predicted: ArrayLike<number>,
  guess?: number,
): RegressionReport {
  let sum = 0;
  for (let i = 0; i < actual.length; i++) sum += actual[i]!;
  const guesses = new Float64Array(actual.length).fill(guess ?? sum / actual.length);
  const score = (values: ArrayLike<number>) => ({
    rmse: known(rmse(actual, values)),
    mae: known(mae(actual, values)),
    r2: known(r2(actual, values)),
  });
  return { rows: actual.length, metrics: score(predicted), baseline: score(guesses) };
}
