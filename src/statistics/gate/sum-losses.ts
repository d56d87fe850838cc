import type { ClusterIndex, PairedMetric, PairedScores, PairedStatistic } from './paired-scores.ts';

const SMALLEST_PROBABILITY = 1e-15;

/**
 * Log loss, Brier score, accuracy, mean absolute error, RMSE: means of a loss a row, so that the sums of each cluster
 * are all that a resample needs. RMSE is the root of such a mean. The definitions are those of the reported metrics.
 */
export function sumLosses(
  scores: PairedScores,
  metric: Exclude<PairedMetric, 'roc_auc'>,
  { of, count }: ClusterIndex,
): PairedStatistic {
  const champion = new Float64Array(count);
  const challenger = new Float64Array(count);
  const rows = new Float64Array(count);
  const lossOf = createLoss(scores, metric);
  for (let row = 0; row < of.length; row++) {
    const cluster = of[row]!;
    rows[cluster]!++;
    champion[cluster]! += lossOf(scores.champion, row);
    challenger[cluster]! += lossOf(scores.challenger, row);
  }
  // Accuracy is one minus the share of wrong answers; the others are losses as they are.
  const value = metric === 'rmse' ? Math.sqrt : metric === 'accuracy' ? (loss: number) => 1 - loss : identity;
  const sign = metric === 'accuracy' ? -1 : 1;
  const difference = (weights: Float64Array) => {
    let championSum = 0;
    let challengerSum = 0;
    let rowSum = 0;
    for (let cluster = 0; cluster < count; cluster++) {
      const weight = weights[cluster]!;
      championSum += weight * champion[cluster]!;
      challengerSum += weight * challenger[cluster]!;
      rowSum += weight * rows[cluster]!;
    }
    return sign * (value(championSum / rowSum) - value(challengerSum / rowSum));
  };
  const mean = (sums: Float64Array) => value(sumOf(sums) / sumOf(rows));
  return {
    champion: mean(champion),
    challenger: mean(challenger),
    difference,
    byCluster: rows.map(
      (n, cluster) => sign * (value(champion[cluster]! / n) - value(challenger[cluster]! / n)),
    ),
  };
}

type Answers = PairedScores['champion'];

function createLoss(
  { labels, classes = 2 }: PairedScores,
  metric: Exclude<PairedMetric, 'roc_auc'>,
): (answers: Answers, row: number) => number {
  switch (metric) {
    case 'log_loss':
      return (answers, row) => {
        const probability = answers[row * classes + labels[row]!]!;
        return -Math.log(Math.min(1, Math.max(SMALLEST_PROBABILITY, probability)));
      };
    case 'brier':
      return (answers, row) => {
        let distance = 0;
        for (let k = classes === 2 ? 1 : 0; k < classes; k++) {
          distance += (answers[row * classes + k]! - (labels[row] === k ? 1 : 0)) ** 2;
        }
        return distance;
      };
    case 'accuracy':
      return (answers, row) => (mostProbable(answers, row, classes) === labels[row] ? 0 : 1);
    case 'rmse':
      return (answers, row) => (answers[row]! - labels[row]!) ** 2;
    case 'mae':
      return (answers, row) => Math.abs(answers[row]! - labels[row]!);
  }
}

/** The class with the highest probability; the first one wins a tie. */
export function mostProbable(answers: Answers, row: number, classes: number): number {
  let best = 0;
  for (let k = 1; k < classes; k++) {
    if (answers[row * classes + k]! > answers[row * classes + best]!) best = k;
  }
  return best;
}

function identity(value: number): number {
  return value;
}

function sumOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
