import type { ClusterIndex, PairedScores, PairedStatistic } from './paired-scores.ts';

/**
 * The AUC as a function of how often each cluster is taken, from a matrix of clusters: how often a positive row of one
 * scores above a negative row of the other, ties counting half. A resample then costs clusters², not a sort of rows.
 *
 * Two classes; the score is the probability of the second one.
 */
export function countWins(scores: PairedScores, clusters: ClusterIndex): PairedStatistic {
  const { labels } = scores;
  const { of, count } = clusters;
  const positives = new Float64Array(count);
  const negatives = new Float64Array(count);
  for (let row = 0; row < of.length; row++) (labels[row] === 1 ? positives : negatives)[of[row]!]!++;
  const champion = winMatrix(scores.champion, labels, clusters);
  const challenger = winMatrix(scores.challenger, labels, clusters);
  const gain = challenger.map((wins, i) => wins - champion[i]!);
  const all = new Float64Array(count).fill(1);
  const overPairs = (matrix: Float64Array, weights: Float64Array) =>
    quadraticForm(matrix, weights) / (dot(positives, weights) * dot(negatives, weights));
  return {
    champion: overPairs(champion, all),
    challenger: overPairs(challenger, all),
    difference: (weights) => overPairs(gain, weights),
    byCluster: positives.map((n, cluster) => gain[cluster * count + cluster]! / (n * negatives[cluster]!)),
  };
}

/** Row by row: wins of the positive rows of a cluster over the negative rows of each cluster. */
function winMatrix(
  answers: PairedScores['champion'],
  labels: PairedScores['labels'],
  { of, count }: ClusterIndex,
): Float64Array {
  const rows = of.length;
  const scores = new Float64Array(rows);
  for (let row = 0; row < rows; row++) scores[row] = answers[row * 2 + 1]!;
  const order = Uint32Array.from({ length: rows }, (_, row) => row).sort((a, b) => scores[a]! - scores[b]!);
  const wins = new Float64Array(count * count);
  const below = new Float64Array(count);
  for (let start = 0; start < rows; ) {
    let end = start;
    for (; end < rows && scores[order[end]!] === scores[order[start]!]; end++) {
      const row = order[end]!;
      if (labels[row] !== 1) below[of[row]!]! += 0.5;
    }
    end = Math.max(end, start + 1);
    // Negatives of the same score count half until the positives among them have been counted.
    for (let i = start; i < end; i++) {
      const row = order[i]!;
      if (labels[row] !== 1) continue;
      const base = of[row]! * count;
      for (let cluster = 0; cluster < count; cluster++) wins[base + cluster]! += below[cluster]!;
    }
    for (let i = start; i < end; i++) {
      const row = order[i]!;
      if (labels[row] !== 1) below[of[row]!]! += 0.5;
    }
    start = end;
  }
  return wins;
}

function quadraticForm(matrix: Float64Array, weights: Float64Array): number {
  const size = weights.length;
  let sum = 0;
  for (let i = 0; i < size; i++) {
    const weight = weights[i]!;
    if (weight === 0) continue;
    let rowSum = 0;
    const base = i * size;
    for (let j = 0; j < size; j++) rowSum += matrix[base + j]! * weights[j]!;
    sum += weight * rowSum;
  }
  return sum;
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
