import { normalCdf } from '../distributions.ts';
import type { PairedScores } from './paired-scores.ts';

/**
 * DeLong's test of two AUCs on the same rows of two classes. It takes rows as independent, which days are not: shown beside
 * the gate's interval, never deciding. NaN where a class is absent.
 *
 * DeLong, DeLong and Clarke-Pearson (1988), doi:10.2307/2531595, by midranks as in Sun and Xu (2014),
 * doi:10.1109/LSP.2014.2337313.
 */
export function delong({ labels, champion, challenger }: PairedScores): {
  champion: number;
  challenger: number;
  standardError: number;
  z: number;
  p: number;
} {
  const a = placementsOf(labels, champion);
  const b = placementsOf(labels, challenger);
  const variance =
    varianceOfDifference(a.positives, b.positives) + varianceOfDifference(a.negatives, b.negatives);
  const standardError = Math.sqrt(variance);
  const difference = b.auc - a.auc;
  const z = difference === 0 ? 0 : difference / standardError;
  return { champion: a.auc, challenger: b.auc, standardError, z, p: 2 * normalCdf(-Math.abs(z)) };
}

interface Placements {
  auc: number;
  /** Of each positive row: the share of negatives that score below it. */
  positives: Float64Array;
  /** Of each negative row: the share of positives that score above it. */
  negatives: Float64Array;
}

function placementsOf(labels: PairedScores['labels'], answers: PairedScores['champion']): Placements {
  const scores = Float64Array.from({ length: labels.length }, (_, row) => answers[row * 2 + 1]!);
  const isPositive = (row: number) => labels[row] === 1;
  const rows = Uint32Array.from(scores, (_, row) => row);
  const of = (members: Uint32Array) => {
    const ranks = midranks(scores, members);
    return new Map(Array.from(members, (row, i) => [row, ranks[i]!]));
  };
  const positiveRows = rows.filter(isPositive);
  const negativeRows = rows.filter((row) => !isPositive(row));
  const overall = of(rows);
  const within = [of(positiveRows), of(negativeRows)] as const;
  const positives = Float64Array.from(
    positiveRows,
    (row) => (overall.get(row)! - within[0].get(row)!) / negativeRows.length,
  );
  const negatives = Float64Array.from(
    negativeRows,
    (row) => 1 - (overall.get(row)! - within[1].get(row)!) / positiveRows.length,
  );
  return { auc: meanOf(positives), positives, negatives };
}

/** Rank of each member's score among the members, from 1; ties share their mean rank. */
function midranks(scores: Float64Array, members: Uint32Array): Float64Array {
  const order = Uint32Array.from(members, (_, i) => i).sort(
    (a, b) => scores[members[a]!]! - scores[members[b]!]!,
  );
  const ranks = new Float64Array(members.length);
  for (let start = 0; start < order.length; ) {
    let end = start + 1;
    while (end < order.length && scores[members[order[end]!]!] === scores[members[order[start]!]!]) end++;
    for (let i = start; i < end; i++) ranks[order[i]!] = (start + end + 1) / 2;
    start = end;
  }
  return ranks;
}

/** Variance of the mean of a − b. */
function varianceOfDifference(a: Float64Array, b: Float64Array): number {
  const differences = a.map((value, i) => value - b[i]!);
  const mean = meanOf(differences);
  let squares = 0;
  for (const value of differences) squares += (value - mean) ** 2;
  return squares / (a.length - 1) / a.length;
}

function meanOf(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum / values.length;
}
