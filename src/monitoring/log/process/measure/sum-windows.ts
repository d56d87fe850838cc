import type { DuckDBConnection } from '@duckdb/node-api';
import type { Answer, RowFilter, Window } from '../../log-messages.ts';
import { predictionsOf } from '../log-relations.ts';
import type { LogState } from '../log-state.ts';
import { countRows, indexSql, joinLabels, lossSql } from './scored-sql.ts';

/** What the rows of a window come to; NaN where nothing is known. */
export interface WindowSums {
  task: Answer['task'] | undefined;
  rows: number;
  /** Rows whose label is one of the classes, or a number. */
  labelled: number;
  /** Mean log loss, or mean squared error. */
  loss: number;
  /** The same of always answering the window's own base rates, or its mean. */
  baseline: number;
}

/** Rows of one label, or for numbers of all, between two edges of windows. */
interface Part {
  place: number;
  rows: number;
  labelled: number;
  scored: number;
  loss: number;
  label: number | undefined;
  /** The mean of the labels of the scored rows, and the sum of their squared distances from it. */
  mean: number;
  m2: number;
}

/**
 * Sums the losses of windows, which may overlap, in the database: a window may hold any number of rows.
 *
 * @returns the sums of each window, and the labels that count, to join by `u`
 */
export async function sumWindows(
  connection: DuckDBConnection,
  state: LogState,
  { filter, windows, answer }: { filter: RowFilter; windows: readonly Window[]; answer: Answer | undefined },
): Promise<{ sums: WindowSums[]; labels: string }> {
  const edges = [...new Set(windows.flatMap(({ from, to }) => [from, to]))].sort((a, b) => a - b);
  const span = { from: edges[0]!, to: edges.at(-1)! };
  const predictions = predictionsOf(state, { ...filter, ...span });
  const all = await countRows(connection, predictions);
  const place = `CASE ${edges.map((edge, index) => `WHEN p.t < ${edge} THEN ${index}`).join(' ')} END`;
  const isClasses = answer !== undefined && answer.task !== 'regression';
  const { parts, labels } = await joinLabels(state, filter.model, predictions, async (joined) => {
    const scored = `SELECT (${place})::INTEGER AS place, ${indexSql('l.label', answer)} AS label,
        ${indexSql('p.prediction', answer)} AS predicted, p.probabilities
      FROM ${predictions} p LEFT JOIN ${joined} l USING (u)`;
    const loss = lossSql(answer, { label: 'label', predicted: 'predicted', probabilities: 'probabilities' });
    const reader = await connection.runAndReadAll(
      `SELECT place, count(*)::DOUBLE, count(label)::DOUBLE, count(loss)::DOUBLE, fsum(loss)::DOUBLE,
         ${isClasses ? 'label' : 'NULL::DOUBLE'}, avg(label) FILTER (loss IS NOT NULL),
         var_pop(label) FILTER (loss IS NOT NULL)
       FROM (SELECT place, label, ${loss} AS loss FROM (${scored})) GROUP BY place${isClasses ? ', label' : ''}`,
    );
    const found = (reader.getRowsJS() as (number | null)[][]).map((row): Part => {
      const [at, rows, labelled, known, sum, label, mean, variance] = row;
      return {
        place: at!,
        rows: rows!,
        labelled: labelled!,
        scored: known!,
        loss: sum ?? 0,
        label: label ?? undefined,
        mean: mean ?? 0,
        m2: (variance ?? 0) * known!,
      };
    });
    const isMore = found.reduce((sum, { rows }) => sum + rows, 0) > all;
    return isMore ? undefined : { parts: found, labels: joined };
  });
  return {
    labels,
    sums: windows.map(({ from, to }) => {
      // A place is named by the edge that ends it.
      const inside = parts.filter(({ place: at }) => edges[at - 1]! >= from && edges[at]! <= to);
      const total = (of: (part: Part) => number) => inside.reduce((sum, part) => sum + of(part), 0);
      const scored = total((part) => part.scored);
      return {
        task: answer?.task,
        rows: total((part) => part.rows),
        labelled: total((part) => part.labelled),
        loss: scored > 0 ? total((part) => part.loss) / scored : Number.NaN,
        baseline:
          scored === 0 ? Number.NaN : isClasses ? entropyOf(inside, scored) : varianceOf(inside, scored),
      };
    }),
  };
}

/** The log loss of a guesser that knows how often each class comes, and nothing else. */
function entropyOf(parts: readonly Part[], scored: number): number {
  const counts = new Map<number | undefined, number>();
  for (const { label, scored: count } of parts) counts.set(label, (counts.get(label) ?? 0) + count);
  let sum = 0;
  for (const count of counts.values()) if (count > 0) sum -= count * Math.log(count / scored);
  return sum / scored;
}

/** Chan's formula: parts' variances put together without losing digits. */
function varianceOf(parts: readonly Part[], scored: number): number {
  const mean = parts.reduce((sum, part) => sum + part.mean * part.scored, 0) / scored;
  return parts.reduce((sum, part) => sum + part.m2 + part.scored * (part.mean - mean) ** 2, 0) / scored;
}
