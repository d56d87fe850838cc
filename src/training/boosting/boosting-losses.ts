/**
 * What boosting minimises. Scores are per output: one for numbers and two classes, one for each of more classes.
 * Gradients are of a row's loss by its score, times the row's weight: Friedman (2001), doi:10.1214/aos/1013203451.
 */
export interface BoostingLoss {
  outputs: number;
  metric: 'rmse' | 'log_loss';
  /** No unweighted row has a larger hessian. */
  largestHessian: number;
  /** Scores of a model without trees, float32 numbers. */
  baseScores(target: Float64Array, members: Int32Array, weights?: Float64Array): Float64Array;
  /** Called once before the gradients of a round, with scores that stay until the round's trees are made. */
  startRound?(scores: Float64Array[]): void;
  gradients(
    output: number,
    scores: Float64Array[],
    target: Float64Array,
    weights: Float64Array | undefined,
    gradients: Float64Array,
    hessians: Float64Array,
  ): void;
  /** The metric over the given rows. */
  measure(scores: Float64Array[], target: Float64Array, members: Int32Array, weights?: Float64Array): number;
}

/** Half the squared error; the metric is its root mean square. */
export function squaredError(): BoostingLoss {
  return {
    outputs: 1,
    metric: 'rmse',
    largestHessian: 1,
    baseScores: (target, members, weights) =>
      Float64Array.of(Math.fround(weightedMean(target, members, weights))),
    gradients(_output, [scores], target, weights, gradients, hessians) {
      for (let i = 0; i < target.length; i++) {
        const weight = weights ? weights[i]! : 1;
        gradients[i] = (scores![i]! - target[i]!) * weight;
        hessians[i] = weight;
      }
    },
    measure: ([scores], target, members, weights) =>
      Math.sqrt(
        meanOver(members, weights, (row) => {
          const error = scores![row]! - target[row]!;
          return error * error;
        }),
      ),
  };
}

/** Log loss of two classes; the score is the log odds of the second. */
export function logistic(): BoostingLoss {
  return {
    outputs: 1,
    metric: 'log_loss',
    largestHessian: 0.25,
    baseScores(target, members, weights) {
      const share = Math.min(1 - 1e-6, Math.max(1e-6, weightedMean(target, members, weights)));
      return Float64Array.of(Math.fround(Math.log(share / (1 - share))));
    },
    gradients(_output, [scores], target, weights, gradients, hessians) {
      for (let i = 0; i < target.length; i++) {
        const probability = 1 / (1 + Math.exp(-scores![i]!));
        const weight = weights ? weights[i]! : 1;
        gradients[i] = (probability - target[i]!) * weight;
        hessians[i] = probability * (1 - probability) * weight;
      }
    },
    measure: ([scores], target, members, weights) =>
      meanOver(members, weights, (row) => {
        const margin = target[row] === 1 ? -scores![row]! : scores![row]!;
        return Math.max(margin, 0) + Math.log1p(Math.exp(-Math.abs(margin)));
      }),
  };
}

/** Log loss of three and more classes; scores are log probabilities up to a constant of the row. */
export function softmax(classCount: number, rows: number): BoostingLoss {
  const logSums = new Float64Array(rows);
  return {
    outputs: classCount,
    metric: 'log_loss',
    largestHessian: 0.25,
    baseScores(target, members, weights) {
      const counts = new Float64Array(classCount);
      let total = 0;
      for (const row of members) {
        const weight = weights ? weights[row]! : 1;
        counts[target[row]!]! += weight;
        total += weight;
      }
      return counts.map((count) => Math.fround(Math.log(Math.max(count / total, 1e-6))));
    },
    startRound(scores) {
      for (let i = 0; i < logSums.length; i++) logSums[i] = logSumExp(scores, i);
    },
    gradients(output, scores, target, weights, gradients, hessians) {
      const own = scores[output]!;
      for (let i = 0; i < target.length; i++) {
        const probability = Math.exp(own[i]! - logSums[i]!);
        const weight = weights ? weights[i]! : 1;
        gradients[i] = (probability - (target[i] === output ? 1 : 0)) * weight;
        hessians[i] = probability * (1 - probability) * weight;
      }
    },
    measure: (scores, target, members, weights) =>
      meanOver(members, weights, (row) => logSumExp(scores, row) - scores[target[row]!]![row]!),
  };
}

function logSumExp(scores: Float64Array[], row: number): number {
  let largest = Number.NEGATIVE_INFINITY;
  for (const column of scores) largest = Math.max(largest, column[row]!);
  let sum = 0;
  for (const column of scores) sum += Math.exp(column[row]! - largest);
  return largest + Math.log(sum);
}

function weightedMean(target: Float64Array, members: Int32Array, weights?: Float64Array): number {
  return meanOver(members, weights, (row) => target[row]!);
}

function meanOver(
  members: Int32Array,
  weights: Float64Array | undefined,
  lossOf: (row: number) => number,
): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < members.length; i++) {
    const row = members[i]!;
    const weight = weights ? weights[row]! : 1;
    sum += weight * lossOf(row);
    total += weight;
  }
  return sum / total;
}
