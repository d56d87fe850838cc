/** Counts of true against predicted classes: `counts[actual * classCount + predicted]`, summed weights if there are any. */
export interface ConfusionMatrix {
  classCount: number;
  counts: Float64Array;
}

/** One class's precision TP/(TP+FP), recall TP/(TP+FN), their harmonic mean F1, and its number of rows. */
export interface ClassScores {
  precision: number;
  recall: number;
  f1: number;
  support: number;
}

/**
 * Counts how often each class was taken for which.
 *
 * @param labels class index of each row
 * @param predicted predicted class index of each row
 */
export function confusionMatrix(
  labels: ArrayLike<number>,
  predicted: ArrayLike<number>,
  classCount: number,
  weights?: ArrayLike<number>,
): ConfusionMatrix {
  const counts = new Float64Array(classCount * classCount);
  for (let i = 0; i < labels.length; i++) {
    counts[labels[i]! * classCount + predicted[i]!]! += weights ? weights[i]! : 1;
  }
  return { classCount, counts };
}

/** Share of rows whose predicted class is the true one; NaN without rows. */
export function accuracy(matrix: ConfusionMatrix): number {
  let right = 0;
  let total = 0;
  for (let i = 0; i < matrix.counts.length; i++) {
    total += matrix.counts[i]!;
    if (i % (matrix.classCount + 1) === 0) right += matrix.counts[i]!;
  }
  return right / total;
}

/**
 * Precision, recall, F1 (van Rijsbergen, Information Retrieval, 1979, chapter 7) and support of every class.
 *
 * A class that was never predicted has precision 0 and one without rows has recall 0, as most tools report it.
 */
export function perClass(matrix: ConfusionMatrix): ClassScores[] {
  const { classCount, counts } = matrix;
  return Array.from({ length: classCount }, (_, k) => {
    const hits = counts[k * classCount + k]!;
    let support = 0;
    let claimed = 0;
    for (let other = 0; other < classCount; other++) {
      support += counts[k * classCount + other]!;
      claimed += counts[other * classCount + k]!;
    }
    return {
      precision: claimed > 0 ? hits / claimed : 0,
      recall: support > 0 ? hits / support : 0,
      f1: support + claimed > 0 ? (2 * hits) / (support + claimed) : 0,
      support,
    };
  });
}

/** Share of rows of each class: what a guesser without features would say; empty classes are 0, NaN without rows. */
export function baseRates(
  labels: ArrayLike<number>,
  classCount: number,
  weights?: ArrayLike<number>,
): Float64Array {
  const shares = new Float64Array(classCount);
  let total = 0;
  for (let i = 0; i < labels.length; i++) {
    const weight = weights ? weights[i]! : 1;
    shares[labels[i]!]! += weight;
    total += weight;
  }
  return shares.map((share) => share / total);
}
