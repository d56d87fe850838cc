import type { DuckDBConnection } from '@duckdb/node-api';
import type { Variant } from '../../../../serving/contract.ts';
import type { ComparedSide, ComparedVariants, CompareRequest, Window } from '../../log-messages.ts';
import { predictionsOf } from '../log-relations.ts';
import type { LogState } from '../log-state.ts';
import { literals } from '../quote-sql.ts';
import { compareScores } from './compare-scores.ts';
import { countRows, indexSql, joinLabels, lossSql, scoreSql } from './scored-sql.ts';

const ANSWERS: Variant[] = ['champion', 'canary', 'previous'];

/**
 * Two versions of a model side by side: each on the rows that it answered, and both on those that a shadow saw. Summed by the
 * database: a span may hold any number of rows.
 */
export async function compareVariants(
  connection: DuckDBConnection,
  state: LogState,
  request: CompareRequest,
): Promise<ComparedVariants> {
  const windows = windowsOf(request);
  const sides = await sumSides(connection, state, request);
  const compared: ComparedVariants = {
    windows: windows.map((window, index) => ({
      ...window,
      champion: sides.get(`${index}/0`) ?? NOTHING,
      candidate: sides.get(`${index}/1`) ?? NOTHING,
    })),
  };
  const { model, from, to, champion, candidate } = request;
  const versions = [champion, candidate];
  const answers = predictionsOf(state, { model, from, to, versions, variants: ANSWERS });
  const scores = await compareScores(connection, answers, request);
  const shadowPairs = await sumPairs(connection, state, request, windows);
  return { ...compared, ...(scores && { scores }), ...(shadowPairs && { shadowPairs }) };
}

const NOTHING: ComparedSide = { rows: 0, labelled: 0, meanLoss: undefined };

function windowsOf({ from, to, windowMs }: CompareRequest): Window[] {
  const windows: Window[] = [];
  for (let start = from; start < to; start += windowMs) {
    windows.push({ from: start, to: Math.min(start + windowMs, to) });
  }
  return windows;
}

const windowSql = ({ from, windowMs }: CompareRequest, t: string): string =>
  `floor((${t} - ${from}) / ${windowMs})::INTEGER`;

/** What each version answered, by window and version: '2/0' is the champion in the third window. */
async function sumSides(
  connection: DuckDBConnection,
  state: LogState,
  request: CompareRequest,
): Promise<Map<string, ComparedSide>> {
  const { model, from, to, answer } = request;
  const versions = [request.champion, request.candidate];
  const predictions = predictionsOf(state, { model, from, to, versions, variants: ANSWERS });
  const all = await countRows(connection, predictions);
  return joinLabels(state, model, predictions, async (labels) => {
    const scored = `SELECT ${windowSql(request, 'p.t')} AS span, list_position(${literals(versions)}, p.version) - 1 AS side,
        ${indexSql('l.label', answer)} AS label, ${indexSql('p.prediction', answer)} AS predicted, p.probabilities
      FROM ${predictions} p LEFT JOIN ${labels} l USING (u)`;
    const loss = lossSql(answer, { label: 'label', predicted: 'predicted', probabilities: 'probabilities' });
    const reader = await connection.runAndReadAll(
      `SELECT span || '/' || side, count(*)::DOUBLE, count(label)::DOUBLE, count(loss)::DOUBLE, fsum(loss)::DOUBLE
       FROM (SELECT span, side, label, ${loss} AS loss FROM (${scored})) GROUP BY span, side`,
    );
    const groups = reader.getRowsJS() as [string, number, number, number, number | null][];
    if (groups.reduce((sum, [, rows]) => sum + rows, 0) > all) return undefined;
    return new Map(
      groups.map(([key, rows, labelled, known, sum]) => [
        key,
        { rows, labelled, meanLoss: mean(sum, known) },
      ]),
    );
  });
}

/** Rows that the champion answered and the candidate shadowed. */
async function sumPairs(
  connection: DuckDBConnection,
  state: LogState,
  request: CompareRequest,
  windows: Window[],
): Promise<ComparedVariants['shadowPairs']> {
  const { model, from, to, champion, candidate, answer } = request;
  const answers = predictionsOf(state, { model, from, to, versions: [champion], variants: ['champion'] });
  // A shadow is late by as much as it likes: the answer's time decides.
  const shadows = predictionsOf(state, { model, versions: [candidate], variants: ['shadow'] });
  const once = (relation: string) => `SELECT u FROM ${relation} GROUP BY u HAVING count(*) = 1`;
  await connection.run(`CREATE TEMP TABLE shadow_pairs AS ${once(answers)} INTERSECT ${once(shadows)}`);
  const all = await countRows(connection, 'shadow_pairs');
  if (all === 0) return undefined;
  const sums = await joinLabels(state, model, 'shadow_pairs', async (labels) => {
    const pairs = `SELECT ${windowSql(request, 'c.t')} AS span, ${indexSql('l.label', answer)} AS label,
        ${indexSql('c.prediction', answer)} AS predicted, c.probabilities AS probabilities,
        ${indexSql('s.prediction', answer)} AS shadow_predicted, s.probabilities AS shadow_probabilities
      FROM (SELECT * FROM ${answers} SEMI JOIN shadow_pairs USING (u)) c
      JOIN ${shadows} s USING (u) LEFT JOIN ${labels} l USING (u)`;
    const own = { label: 'label', predicted: 'predicted', probabilities: 'probabilities' };
    const other = { label: 'label', predicted: 'shadow_predicted', probabilities: 'shadow_probabilities' };
    const reader = await connection.runAndReadAll(
      // Answers without scores are as far apart as their classes: 0 or 1.
      `SELECT span, count(*)::DOUBLE, count_if(is_other)::DOUBLE, fsum(coalesce(apart, is_other::INTEGER))::DOUBLE,
         count(label)::DOUBLE, count(loss + shadow_loss)::DOUBLE,
         fsum(loss) FILTER (shadow_loss IS NOT NULL)::DOUBLE, fsum(shadow_loss) FILTER (loss IS NOT NULL)::DOUBLE
       FROM (SELECT span, label, coalesce(predicted <> shadow_predicted, true) AS is_other,
               abs(${scoreSql(answer, own)} - ${scoreSql(answer, other)}) AS apart,
               ${lossSql(answer, own)} AS loss, ${lossSql(answer, other)} AS shadow_loss FROM (${pairs}))
       GROUP BY span`,
    );
    const groups = reader.getRowsJS() as PairSums[];
    return groups.reduce((sum, [, rows]) => sum + rows, 0) > all ? undefined : groups;
  });
  const bySpan = new Map(sums.map((sum) => [sum[0], sum]));
  const total = (of: (sum: PairSums) => number) => sums.reduce((sum, each) => sum + of(each), 0);
  return {
    rows: all,
    disagree: total(([, , disagree]) => disagree),
    meanAbsoluteDifference: total(([, , , apart]) => apart) / all,
    windows: windows.map((window, index) => {
      const [, rows, , , labelled, known, ...losses] = bySpan.get(index) ?? [0, 0, 0, 0, 0, 0, null, null];
      return {
        ...window,
        rows,
        labelled,
        championLoss: mean(losses[0], known),
        candidateLoss: mean(losses[1], known),
      };
    }),
  };
}

/** Window, rows, those that disagree, how far apart, labelled, with both losses, and the sums of these. */
type PairSums = [number, number, number, number, number, number, number | null, number | null];

const mean = (sum: number | null, count: number): number | undefined =>
  sum === null || count === 0 ? undefined : sum / count;
