import { LATENCY_EDGES_MS } from '../../serving/contract.ts';
import { logGamma, psiOfCounts, studentQuantile } from '../../statistics/index.ts';
import type { ScoreCounts, VariantCounts, VariantLoss } from '../delivery-deps.ts';
import { requests } from './count-traffic.ts';

/**
 * What one kind of evidence says of a candidate. `bad` is shown at this look's alpha and undoes; `unclear` looks worse
 * without being shown and holds the step; `good` and `nothing yet` do neither.
 */
export interface Assessment {
  state: 'good' | 'bad' | 'unclear' | 'nothing yet';
  words: string;
  p?: number;
  alpha?: number;
  look?: number;
}

/** A share of failed or of slow requests that is this much above the champion's is worth waiting for. */
const NOTICEABLE_SHARE = 0.01;
/** So many times slower than the champion's p99 is too slow. */
const TOO_SLOW_FACTOR = 10;
const SLOW_FLOOR_MS = 5;
/** The share of a version's runs that may be slower than that. */
const SLOW_SHARE = 0.01;
const FEWEST_WINDOWS = 3;
const FEWEST_LABELS_IN_WINDOW = 5;
const FEWEST_SCORES = 100;

/** Failed requests, against the champion's in the same time: Fisher's exact test, one-sided. */
export function assessErrors(candidate: VariantCounts, champion: VariantCounts, alpha: number): Assessment {
  const ours = requests(candidate);
  const theirs = requests(champion);
  const share = candidate.failed / ours;
  const theirShare = theirs > 0 ? champion.failed / theirs : 0;
  const p =
    theirs > 0
      ? fisherTail(candidate.failed, ours, champion.failed, theirs)
      : binomialTail(candidate.failed, ours, NOTICEABLE_SHARE);
  const words = `${candidate.failed} of ${ours} requests failed, champion ${champion.failed} of ${theirs}`;
  return judged(p, alpha, share - theirShare > NOTICEABLE_SHARE, words);
}

/** Runs slower than ten times the champion's p99: more than one in a hundred is too many. */
export function assessLatency(candidate: VariantCounts, champion: VariantCounts, alpha: number): Assessment {
  const p99 = edgeBelow(champion.latency, 0.99);
  const limit = Math.max(SLOW_FLOOR_MS, TOO_SLOW_FACTOR * p99);
  const runs = sumOf(candidate.latency);
  const first = LATENCY_EDGES_MS.findIndex((edge) => edge >= limit);
  const slow = first < 0 ? 0 : candidate.latency.slice(first + 1).reduce((sum, each) => sum + each, 0);
  const edge = first < 0 ? limit : LATENCY_EDGES_MS[first];
  const words = `${slow} of ${runs} runs took longer than ${edge} ms (champion's p99 is at most ${p99} ms in ${sumOf(champion.latency)} runs since the hour in which the rollout began)`;
  if (runs === 0) return { state: 'nothing yet', words: 'no run times yet' };
  return judged(binomialTail(slow, runs, SLOW_SHARE), alpha, slow / runs > 2 * SLOW_SHARE, words);
}

/** Answers that differ from the champion's on the same requests, against the share that the policy allows. */
export function assessDisagreement(
  pairs: { rows: number; disagree: number; meanAbsoluteDifference: number },
  allowed: number | undefined,
  alpha: number,
): Assessment {
  const { rows, disagree, meanAbsoluteDifference } = pairs;
  const words = `${disagree} of ${rows} answers differ from the champion's, scores by ${format(meanAbsoluteDifference)} on average`;
  if (allowed === undefined) return { state: 'good', words: `${words} (shown, no limit is set)` };
  const share = disagree / rows;
  return judged(
    binomialTail(disagree, rows, allowed),
    alpha,
    share > allowed,
    `${words}, allowed ${allowed}`,
  );
}

/**
 * The loss of each version on the labelled rows that it answered itself, paired by window of time, so that a bad day
 * hits both: Student's t on the windows' differences. Shown only: it rests on other rows for each, so it is weak.
 */
export function assessLoss(
  windows: readonly { champion: VariantLoss; candidate: VariantLoss }[],
  alpha: number,
): Assessment {
  const used = windows.flatMap(({ champion, candidate }) =>
    champion.meanLoss !== undefined &&
    candidate.meanLoss !== undefined &&
    champion.labelled >= FEWEST_LABELS_IN_WINDOW &&
    candidate.labelled >= FEWEST_LABELS_IN_WINDOW
      ? [{ ours: candidate.meanLoss, theirs: champion.meanLoss }]
      : [],
  );
  const n = used.length;
  if (n < FEWEST_WINDOWS)
    return { state: 'nothing yet', words: `labels in ${n} windows so far, ${FEWEST_WINDOWS} are needed` };
  const theirs = used.reduce((sum, each) => sum + each.theirs, 0) / n;
  const mean = used.reduce((sum, each) => sum + each.ours - each.theirs, 0) / n;
  const variance = used.reduce((sum, each) => sum + (each.ours - each.theirs - mean) ** 2, 0) / (n - 1);
  const reach = studentQuantile(1 - alpha, n - 1) * Math.sqrt(variance / n);
  const words = `loss of what each answered itself ${mean < 0 ? 'lower' : 'higher'} by ${format(Math.abs(mean))} than the champion's ${format(theirs)} over ${n} windows, between ${format(mean - reach)} and ${format(mean + reach)} (shown only)`;
  return { state: 'good', words, alpha };
}

/**
 * How far the scores of what the candidate answered lie from the champion's in the same time, as PSI. A better model may
 * well score otherwise, so it is shown only; a model that says the same to everybody is seen by it at once.
 */
export function assessScores({
  champion,
  candidate,
}: {
  champion: ScoreCounts;
  candidate: ScoreCounts;
}): Assessment {
  const { rows } = candidate;
  if (Math.min(rows, champion.rows) < FEWEST_SCORES)
    return { state: 'nothing yet', words: `scores of ${rows} answers so far, ${FEWEST_SCORES} are needed` };
  const psi = psiOfCounts(champion.bins, candidate.bins);
  const byChance = (champion.bins.length - 1) * (1 / rows + 1 / champion.rows);
  const words = `scores of ${rows} answers lie ${format(psi)} (PSI) from the champion's of ${champion.rows}, by chance about ${format(byChance)}; on average ${format(candidate.mean ?? Number.NaN)}, champion ${format(champion.mean ?? Number.NaN)} (shown only)`;
  return { state: 'good', words };
}

function judged(p: number, alpha: number, isNoticeable: boolean, words: string): Assessment {
  const state = p < alpha ? 'bad' : isNoticeable ? 'unclear' : 'good';
  return { state, words, p, alpha };
}

const sumOf = (counts: readonly number[]): number => counts.reduce((sum, each) => sum + each, 0);

/** The upper edge of the bin that holds this share of the runs; the last edge for what is over. */
function edgeBelow(latency: readonly number[], share: number): number {
  const runs = sumOf(latency);
  let seen = 0;
  for (const [index, count] of latency.entries()) {
    seen += count;
    if (runs > 0 && seen >= share * runs)
      return LATENCY_EDGES_MS[index] ?? (LATENCY_EDGES_MS.at(-1) as number);
  }
  return 0;
}

const logChoose = (n: number, k: number) => logGamma(n + 1) - logGamma(k + 1) - logGamma(n - k + 1);

/** P(X >= failed) when `failed` and `otherFailed` fell on both sides by chance alone (hypergeometric). */
export function fisherTail(failed: number, total: number, otherFailed: number, otherTotal: number): number {
  if (failed === 0) return 1;
  const allFailed = failed + otherFailed;
  const all = logChoose(total + otherTotal, allFailed);
  let sum = 0;
  for (let x = failed; x <= Math.min(total, allFailed); x++) {
    if (allFailed - x > otherTotal) continue;
    sum += Math.exp(logChoose(total, x) + logChoose(otherTotal, allFailed - x) - all);
  }
  return Math.min(1, sum);
}

/** P(X >= hits) of a binomial. */
export function binomialTail(hits: number, total: number, share: number): number {
  if (hits <= 0) return 1;
  const below = hits < total * share;
  const [from, to] = below ? [0, hits - 1] : [hits, total];
  let sum = 0;
  for (let x = from; x <= to; x++) {
    const term = Math.exp(logChoose(total, x) + x * Math.log(share) + (total - x) * Math.log1p(-share));
    sum += term;
    if (!below && term < 1e-18 * sum) break;
  }
  return Math.min(1, below ? 1 - sum : sum);
}

const format = (value: number) => String(Number(value.toPrecision(4)));
