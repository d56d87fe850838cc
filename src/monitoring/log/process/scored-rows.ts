import type { DuckDBConnection } from '@duckdb/node-api';
import type { Answer, RowFilter, Window } from '../log-messages.ts';
import { type LogState, labelsOf, latestLabels, predictionsOf } from './log-state.ts';
import { literal, literals } from './quote-sql.ts';

/** Predictions in the order of their event time, column by column. */
export interface ScoredRows {
  rows: number;
  t: Float64Array;
  /** The index of the row's version in the `versions` that were asked for; -1 when it is none of them. */
  version: Int32Array;
  /** Class index of the label, or the value; NaN without a label that the model knows. */
  label: Float64Array;
  /** Class index of what was answered, or the value; NaN when it is none. */
  predicted: Float64Array;
  /** `[rows, classes]`; NaN where a row has no probabilities. Empty for regression. */
  probabilities: Float64Array;
  classes: number;
}

/** More classes than this are not measured by their probabilities. */
const MAX_CLASSES = 200;

export interface ReadOptions {
  /** What `ScoredRows.version` counts. */
  versions?: readonly string[];
  /** Only the predictions whose ids this table holds, in the order of the ids. */
  idsIn?: string;
}

/** Reads predictions with the labels that count. */
export async function readScoredRows(
  connection: DuckDBConnection,
  state: LogState,
  filter: RowFilter,
  answer: Answer | undefined,
  { versions = [], idsIn }: ReadOptions = {},
): Promise<ScoredRows> {
  const classes = answer && answer.task !== 'regression' ? Math.min(answer.classes.length, MAX_CLASSES) : 0;
  const all = predictionsOf(state, filter);
  const predictions = idsIn === undefined ? all : `(SELECT * FROM ${all} SEMI JOIN ${idsIn} USING (u))`;
  const labels = labelsOf(state, filter.model);
  const columns = [
    'p.t::DOUBLE',
    `coalesce(list_position(${literals(versions)}, p.version), 0)::INTEGER - 1`,
    `coalesce(${indexSql('l.label', answer)}, 'nan'::DOUBLE)`,
    `coalesce(${indexSql('p.prediction', answer)}, 'nan'::DOUBLE)`,
    ...Array.from(
      { length: classes },
      (_, k) =>
        `coalesce(CASE WHEN len(p.probabilities) = ${classes} THEN p.probabilities[${k + 1}] END, 'nan'::DOUBLE)`,
    ),
  ].map((sql, index) => `${sql} AS c${index}`);
  const select = (joined: string) =>
    `SELECT ${columns.join(', ')} FROM ${predictions} p LEFT JOIN ${joined} l USING (u) ORDER BY ${idsIn === undefined ? 'p.t' : 'u'}`;

  // Most predictions get one label: joining all of them is twice as fast as finding the latest of each first, and a joined
  // row more than there are predictions tells when that will not do.
  const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${predictions}`);
  const rows = counted.getRowsJS()[0]![0] as number;
  const plain = await readColumns(connection, select(labels), rows, classes);
  if (plain) return plain;
  const latest = await readColumns(
    connection,
    select(
      `(SELECT u, latest.label AS label FROM ${latestLabels(`(SELECT * FROM ${labels} SEMI JOIN ${predictions} USING (u))`)})`,
    ),
    rows,
    classes,
  );
  if (!latest) throw new Error('A prediction has two latest labels');
  return latest;
}

/** What `select` answers, unless that are more rows than were counted. */
async function readColumns(
  connection: DuckDBConnection,
  select: string,
  rows: number,
  classes: number,
): Promise<ScoredRows | undefined> {
  const found: ScoredRows = {
    rows,
    t: new Float64Array(rows),
    version: new Int32Array(rows),
    label: new Float64Array(rows),
    predicted: new Float64Array(rows),
    probabilities: new Float64Array(rows * classes),
    classes,
  };
  const result = await connection.run(select);
  if (result.rowCount > rows) return undefined;
  let at = 0;
  for (let chunk = await result.fetchChunk(); chunk?.rowCount; chunk = await result.fetchChunk()) {
    const items = <T>(column: number) => (chunk!.getColumnVector(column) as unknown as { items: T }).items;
    found.t.set(items<Float64Array>(0), at);
    found.version.set(items<Int32Array>(1), at);
    found.label.set(items<Float64Array>(2), at);
    found.predicted.set(items<Float64Array>(3), at);
    for (let k = 0; k < classes; k++) {
      const values = items<Float64Array>(4 + k);
      for (let i = 0; i < values.length; i++) found.probabilities[(at + i) * classes + k] = values[i]!;
    }
    at += chunk.rowCount;
  }
  return found;
}

/**
 * The class index of a JSON value, or the value itself, as SQL. A class is met by its text; true and false also by 1 and 0, and
 * numbers however they are written.
 */
function indexSql(column: string, answer: Answer | undefined): string {
  if (answer === undefined) return 'NULL::DOUBLE';
  const text = `json_extract_string(${column}, '$')`;
  const number = `TRY_CAST(${text} AS DOUBLE)`;
  if (answer.task === 'regression') return `CASE WHEN isfinite(${number}) THEN ${number} END`;
  // Most labels are written as the class is; what is told otherwise is looked at only when no class is met.
  const plain = answer.classes.map(
    (value, index) => `WHEN ${column} = ${literal(JSON.stringify(value))} THEN ${index}`,
  );
  const branches = answer.classes.map((value, index) => {
    const tests = [`${text} = ${literal(String(value))}`];
    if (typeof value === 'number') tests.push(`${number} = ${value}`);
    if (typeof value === 'boolean') tests.push(`${number} = ${value ? 1 : 0}`);
    if (value === 1) tests.push(`${text} = 'true'`);
    if (value === 0) tests.push(`${text} = 'false'`);
    return `WHEN ${tests.join(' OR ')} THEN ${index}`;
  });
  return `(CASE WHEN ${column} IS NULL THEN NULL ${plain.join(' ')} ${branches.join(' ')} END)::DOUBLE`;
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
