import type { DuckDBConnection } from '@duckdb/node-api';
import type { Variant } from '../../../serving/contract.ts';
import type { ComparedSide, ComparedVariants, CompareRequest, RowFilter, Window } from '../log-messages.ts';
import { type LogState, predictionsOf } from './log-state.ts';
import { readScoredRows, type ScoredRows, windowRows } from './scored-rows.ts';

const ANSWERS: Variant[] = ['champion', 'canary', 'previous'];
/** As the statistics slice: one sure and wrong row must not make the mean infinite. */
const SMALLEST_PROBABILITY = 1e-15;

/** Two versions of a model side by side: each on the rows that it answered, and both on those that a shadow saw. */
export async function compareVariants(
  connection: DuckDBConnection,
  state: LogState,
  request: CompareRequest,
): Promise<ComparedVariants> {
  const { model, from, to, champion, candidate, answer } = request;
  const windows = windowsOf(request);
  const versions = [champion, candidate];
  const filter = { model, from, to, versions };
  const answered = await readScoredRows(connection, state, { ...filter, variants: ANSWERS }, answer, {
    versions,
  });
  const compared: ComparedVariants = {
    windows: windows.map((window) => {
      const span = windowRows(answered, window);
      return {
        ...window,
        champion: sideOf(answered, span, (row) => answered.version[row] === 0),
        candidate: sideOf(answered, span, (row) => answered.version[row] === 1),
      };
    }),
  };
  const pairs = await readPairs(connection, state, request);
  return pairs ? { ...compared, shadowPairs: comparePairs(pairs, request, windows)! } : compared;
}

function windowsOf({ from, to, windowMs }: CompareRequest): Window[] {
  const windows: Window[] = [];
  for (let start = from; start < to; start += windowMs) {
    windows.push({ from: start, to: Math.min(start + windowMs, to) });
  }
  return windows;
}

function sideOf(
  rows: ScoredRows,
  [start, end]: [number, number],
  isSide: (row: number) => boolean,
): ComparedSide {
  let count = 0;
  let labelled = 0;
  let scored = 0;
  let sum = 0;
  for (let row = start; row < end; row++) {
    if (!isSide(row)) continue;
    count++;
    if (!Number.isNaN(rows.label[row])) labelled++;
    const loss = lossOf(rows, row);
    if (Number.isNaN(loss)) continue;
    scored++;
    sum += loss;
  }
  return { rows: count, labelled, meanLoss: scored > 0 ? sum / scored : undefined };
}

/** Log loss, or squared error; NaN where label or answer is missing. */
function lossOf({ label, predicted, probabilities, classes }: ScoredRows, row: number): number {
  if (classes === 0) return (label[row]! - predicted[row]!) ** 2;
  if (Number.isNaN(label[row])) return Number.NaN;
  const probability = probabilities[row * classes + label[row]!]!;
  return Number.isNaN(probability)
    ? Number.NaN
    : -Math.log(Math.min(1, Math.max(SMALLEST_PROBABILITY, probability)));
}

/** Rows that the champion answered and the candidate shadowed, both in the order of their ids. */
async function readPairs(
  connection: DuckDBConnection,
  state: LogState,
  request: CompareRequest,
): Promise<[ScoredRows, ScoredRows] | undefined> {
  const { model, from, to, champion, candidate, answer } = request;
  const answers = { model, from, to, versions: [champion], variants: ['champion'] as Variant[] };
  // A shadow is late by as much as it likes: the answer's time decides.
  const shadows = { model, versions: [candidate], variants: ['shadow'] as Variant[] };
  const once = (relation: string) => `SELECT u FROM ${relation} GROUP BY u HAVING count(*) = 1`;
  await connection.run(
    `CREATE TEMP TABLE shadow_pairs AS ${once(predictionsOf(state, answers))}
     INTERSECT ${once(predictionsOf(state, shadows))}`,
  );
  const read = (filter: RowFilter) =>
    readScoredRows(connection, state, filter, answer, { idsIn: 'shadow_pairs' });
  const first = await read(answers);
  return first.rows === 0 ? undefined : [first, await read(shadows)];
}

function comparePairs(
  [champion, candidate]: [ScoredRows, ScoredRows],
  { from, windowMs }: CompareRequest,
  windows: Window[],
): ComparedVariants['shadowPairs'] {
  const sums = windows.map(() => ({ rows: 0, labelled: 0, scored: 0, champion: 0, candidate: 0 }));
  let disagree = 0;
  let difference = 0;
  for (let row = 0; row < champion.rows; row++) {
    const sum = sums[Math.floor((champion.t[row]! - from) / windowMs)];
    if (!sum) continue;
    sum.rows++;
    const isOther = champion.predicted[row] !== candidate.predicted[row];
    if (isOther) disagree++;
    const apart = Math.abs(scoreOf(champion, row) - scoreOf(candidate, row));
    // Answers without scores are as far apart as their classes: 0 or 1.
    difference += Number.isFinite(apart) ? apart : Number(isOther);
    if (!Number.isNaN(champion.label[row])) sum.labelled++;
    const losses = [lossOf(champion, row), lossOf(candidate, row)] as const;
    if (Number.isNaN(losses[0]) || Number.isNaN(losses[1])) continue;
    sum.scored++;
    sum.champion += losses[0];
    sum.candidate += losses[1];
  }
  return {
    rows: champion.rows,
    disagree,
    meanAbsoluteDifference: difference / champion.rows,
    windows: windows.map((window, index) => {
      const { rows, labelled, scored, ...losses } = sums[index]!;
      return {
        ...window,
        rows,
        labelled,
        championLoss: scored > 0 ? losses.champion / scored : undefined,
        candidateLoss: scored > 0 ? losses.candidate / scored : undefined,
      };
    }),
  };
}

/** What two answers are compared by: the probability of the second of two classes, the highest of more, or the value. */
function scoreOf({ predicted, probabilities, classes }: ScoredRows, row: number): number {
  if (classes === 0) return predicted[row]!;
  if (classes === 2) return probabilities[2 * row + 1]!;
  return Math.max(...probabilities.subarray(row * classes, (row + 1) * classes));
}
