import type { DuckDBConnection } from '@duckdb/node-api';
import type { Answer, RowFilter, Window } from '../../log-messages.ts';
import { predictionsOf } from '../log-relations.ts';
import type { LogState } from '../log-state.ts';
import { sampleSql } from './sample-rows.ts';
import { indexSql } from './scored-sql.ts';

/** Labelled predictions in the order of their event time, column by column. */
export interface ScoredRows {
  t: Float64Array;
  /** Class index of the label, or the value. */
  label: Float64Array;
  /** Class index of what was answered, or the value; NaN when it is none. */
  predicted: Float64Array;
  /** `[rows, classes]`; NaN where a row has no probabilities. Empty for regression. */
  probabilities: Float64Array;
  classes: number;
}

/** More classes than this are not measured by their probabilities. */
const MAX_CLASSES = 200;

/**
 * Reads the predictions whose label is known.
 *
 * @param labels the labels that count, to join by `u`
 * @param most of more rows than these the ones with the lowest hashes are read
 */
export async function readScoredRows(
  connection: DuckDBConnection,
  state: LogState,
  filter: RowFilter,
  answer: Answer | undefined,
  { labels, most }: { labels: string; most?: number },
): Promise<ScoredRows> {
  const classes = answer && answer.task !== 'regression' ? Math.min(answer.classes.length, MAX_CLASSES) : 0;
  const labelled = `(SELECT p.*, ${indexSql('l.label', answer)} AS truth
    FROM ${predictionsOf(state, filter)} p JOIN ${labels} l USING (u) WHERE truth IS NOT NULL)`;
  const condition = most === undefined ? 'true' : await sampleSql(connection, labelled, most);
  const columns = [
    't::DOUBLE',
    'truth',
    `coalesce(${indexSql('prediction', answer)}, 'nan'::DOUBLE)`,
    ...Array.from(
      { length: classes },
      (_, k) =>
        `coalesce(CASE WHEN len(probabilities) = ${classes} THEN probabilities[${k + 1}] END, 'nan'::DOUBLE)`,
    ),
  ];
  const result = await connection.run(
    `SELECT ${columns.map((sql, index) => `${sql} AS c${index}`).join(', ')} FROM ${labelled} WHERE ${condition} ORDER BY t`,
  );
  const rows = result.rowCount;
  const found: ScoredRows = {
    t: new Float64Array(rows),
    label: new Float64Array(rows),
    predicted: new Float64Array(rows),
    probabilities: new Float64Array(rows * classes),
    classes,
  };
  let at = 0;
  for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
    const items = (column: number) =>
      (chunk!.getColumnVector(column) as unknown as { items: Float64Array }).items;
    found.t.set(items(0), at);
    found.label.set(items(1), at);
    found.predicted.set(items(2), at);
    for (let k = 0; k < classes; k++) {
      const values = items(3 + k);
      for (let i = 0; i < values.length; i++) found.probabilities[(at + i) * classes + k] = values[i]!;
    }
    at += chunk.rowCount;
  }
  return found;
}

/** The first and the last row of a window, the last one not included. */
export function windowRows({ t }: ScoredRows, window: Window): [number, number] {
  return [firstAt(t, window.from), firstAt(t, window.to)];
}

/** The place of the first of the sorted times that is not before `time`. */
function firstAt(times: Float64Array, time: number): number {
  let low = 0;
  let high = times.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (times[middle]! < time) low = middle + 1;
    else high = middle;
  }
  return low;
}
