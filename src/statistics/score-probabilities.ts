/** Probabilities are kept this far from 0 and 1, so that one sure and wrong row cannot make the mean infinite. */
const SMALLEST_PROBABILITY = 1e-15;

/**
 * Mean negative log likelihood of the true classes, in nats (cross-entropy).
 *
 * Bishop, Pattern Recognition and Machine Learning (2006), eq. 4.108. NaN without rows.
 *
 * @param labels class index of each row
 * @param probabilities `[rows, classCount]`, row by row
 */
export function logLoss(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classCount: number,
  weights?: ArrayLike<number>,
): number {
  let sum = 0;
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    const probability = probabilities[i * classCount + labels[i]!]!;
    const weight = weights ? weights[i]! : 1;
    sum -= weight * Math.log(Math.min(1, Math.max(SMALLEST_PROBABILITY, probability)));
    total += weight;
  }
  return sum / total;
}

/**
 * Brier score: mean squared distance between the probabilities and the outcome.
 *
 * Brier (1950), doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2. With two classes it is the distance of the second
 * class's probability alone, so 0 to 1; with more, Brier's own sum over the classes, 0 to 2. NaN without rows.
 *
 * @param labels class index of each row
 * @param probabilities `[rows, classCount]`, row by row
 */
export function brier(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classCount: number,
  weights?: ArrayLike<number>,
): number {
  const first = classCount === 2 ? 1 : 0;
  let sum = 0;
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    const weight = weights ? weights[i]! : 1;
    let distance = 0;
    for (let k = first; k < classCount; k++) {
      const difference = probabilities[i * classCount + k]! - (labels[i] === k ? 1 : 0);
      distance += difference * difference;
    }
    sum += weight * distance;
    total += weight;
  }
  return sum / total;
}

/**
 * The class of each row with the highest probability; the first one wins a tie, as in the exported graph's ArgMax.
 *
 * @param probabilities `[rows, classCount]`, row by row
 */
export function mostProbableClass(probabilities: ArrayLike<number>, classCount: number): Int32Array {
  const rows = probabilities.length / classCount;
  const classes = new Int32Array(rows);
  for (let i = 0; i < rows; i++) {
    let best = 0;
    for (let k = 1; k < classCount; k++) {
      if (probabilities[i * classCount + k]! > probabilities[i * classCount + best]!) best = k;
    }
    classes[i] = best;
  }
  return classes;
}
