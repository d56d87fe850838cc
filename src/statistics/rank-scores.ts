/**
 * Area under the ROC curve: the probability that a positive row scores above a negative one, ties counting half.
 *
 * Mann-Whitney form of Hanley and McNeil (1982), doi:10.1148/radiology.143.1.7063747; with weights, each pair weighs
 * the product of its rows' weights. NaN when one of the two classes is absent.
 *
 * @param labels one per row; anything but 0 is the positive class
 * @param scores one per row, finite, higher means more positive
 * @param weights one per row, not negative
 */
export function rocAuc(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights?: ArrayLike<number>,
): number {
  return weights ? weightedAuc(labels, scores, weights) : unweightedAuc(labels, scores);
}

/** Sorts the two classes apart, because a native sort of plain numbers is many times faster than one of indexes. */
function unweightedAuc(labels: ArrayLike<number>, scores: ArrayLike<number>): number {
  const rows = labels.length;
  let positiveCount = 0;
  for (let i = 0; i < rows; i++) if (labels[i] !== 0) positiveCount++;
  const negativeCount = rows - positiveCount;
  if (positiveCount === 0 || negativeCount === 0) return Number.NaN;
  const positives = new Float64Array(positiveCount);
  const negatives = new Float64Array(negativeCount);
  let p = 0;
  let n = 0;
  for (let i = 0; i < rows; i++) {
    if (labels[i] !== 0) positives[p++] = scores[i]!;
    else negatives[n++] = scores[i]!;
  }
  positives.sort();
  negatives.sort();
  let below = 0;
  let belowOrEqual = 0;
  let wins = 0;
  for (let i = 0; i < positiveCount; i++) {
    const score = positives[i]!;
    while (below < negativeCount && negatives[below]! < score) below++;
    if (belowOrEqual < below) belowOrEqual = below;
    while (belowOrEqual < negativeCount && negatives[belowOrEqual]! <= score) belowOrEqual++;
    wins += (below + belowOrEqual) / 2;
  }
  return wins / (positiveCount * negativeCount);
}

function weightedAuc(
  labels: ArrayLike<number>,
  scores: ArrayLike<number>,
  weights: ArrayLike<number>,
): number {
  const rows = labels.length;
  const order = Uint32Array.from({ length: rows }, (_, i) => i).sort((a, b) => scores[a]! - scores[b]!);
  let negativesBelow = 0;
  let positives = 0;
  let wins = 0;
  for (let start = 0; start < rows; ) {
    const score = scores[order[start]!]!;
    let tiedPositives = 0;
    let tiedNegatives = 0;
    let end = start;
    for (; end < rows && scores[order[end]!]! === score; end++) {
      const row = order[end]!;
      if (labels[row] !== 0) tiedPositives += weights[row]!;
      else tiedNegatives += weights[row]!;
    }
    wins += tiedPositives * (negativesBelow + tiedNegatives / 2);
    positives += tiedPositives;
    negativesBelow += tiedNegatives;
    start = Math.max(end, start + 1);
  }
  return positives > 0 && negativesBelow > 0 ? wins / (positives * negativesBelow) : Number.NaN;
}

/**
 * Mean over the classes of each class's AUC against the rest, every class counting the same (macro average).
 *
 * Fawcett (2006), doi:10.1016/j.patrec.2005.10.010, section 9. Classes that are absent, or alone, are left out of the
 * mean; NaN when none remains.
 *
 * @param labels class index of each row
 * @param probabilities `[rows, classCount]`, row by row
 */
export function macroAuc(
  labels: ArrayLike<number>,
  probabilities: ArrayLike<number>,
  classCount: number,
): number {
  const rows = labels.length;
  const isClass = new Uint8Array(rows);
  const scores = new Float64Array(rows);
  let sum = 0;
  let counted = 0;
  for (let k = 0; k < classCount; k++) {
    for (let i = 0; i < rows; i++) {
      isClass[i] = labels[i] === k ? 1 : 0;
      scores[i] = probabilities[i * classCount + k]!;
    }
    const auc = rocAuc(isClass, scores);
    if (Number.isNaN(auc)) continue;
    sum += auc;
    counted++;
  }
  return counted > 0 ? sum / counted : Number.NaN;
}
