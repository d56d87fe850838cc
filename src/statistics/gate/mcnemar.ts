import { regularisedBeta } from '../special-functions.ts';
import type { PairedScores } from './paired-scores.ts';
import { mostProbable } from './sum-losses.ts';

/**
 * McNemar's exact test of two classifiers' errors on the same rows. It takes rows as independent, which days are not: shown
 * beside the gate's interval, never deciding.
 *
 * McNemar (1947), doi:10.1007/BF02295996; the two-sided binomial p of the rows that only one of them has right.
 */
export function mcnemar(scores: PairedScores): {
  onlyChampionRight: number;
  onlyChallengerRight: number;
  p: number;
} {
  const { labels, champion, challenger, classes = 2 } = scores;
  let onlyChampionRight = 0;
  let onlyChallengerRight = 0;
  for (let row = 0; row < labels.length; row++) {
    const isChampionRight = mostProbable(champion, row, classes) === labels[row];
    const isChallengerRight = mostProbable(challenger, row, classes) === labels[row];
    if (isChampionRight && !isChallengerRight) onlyChampionRight++;
    if (isChallengerRight && !isChampionRight) onlyChallengerRight++;
  }
  const n = onlyChampionRight + onlyChallengerRight;
  const most = Math.max(onlyChampionRight, onlyChallengerRight);
  // P(X >= most) of a fair coin's n throws, both ways.
  const p = n === 0 ? 1 : Math.min(1, 2 * regularisedBeta(most, n - most + 1, 0.5));
  return { onlyChampionRight, onlyChallengerRight, p };
}
