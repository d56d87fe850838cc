import type { DuckDBConnection } from '@duckdb/node-api';
import type { Answer } from '../../log-messages.ts';
import { labelsOf, latestLabels } from '../log-relations.ts';
import type { LogState } from '../log-state.ts';
import { literal } from '../quote-sql.ts';

/** As the statistics slice: one sure and wrong row must not make the mean infinite. */
const SMALLEST_PROBABILITY = 1e-15;

export async function countRows(connection: DuckDBConnection, relation: string): Promise<number> {
  const reader = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${relation}`);
  return reader.getRowsJS()[0]![0] as number;
}

/**
 * Reads predictions joined with the labels that count. `read` gets the labels as something to join by `u`, and answers
 * undefined when that joined more rows than there are predictions.
 *
 * Most predictions get one label: joining all of them is twice as fast as finding the latest of each first, and a joined row
 * more than there are predictions tells when that will not do.
 */
export async function joinLabels<T>(
  state: LogState,
  model: string,
  predictions: string,
  read: (labels: string) => Promise<T | undefined>,
): Promise<T> {
  const labels = labelsOf(state, model);
  const plain = await read(labels);
  if (plain !== undefined) return plain;
  const ofThese = `(SELECT * FROM ${labels} SEMI JOIN ${predictions} USING (u))`;
  const latest = await read(`(SELECT u, latest.label AS label FROM ${latestLabels(ofThese)})`);
  if (latest === undefined) throw new Error('A prediction has two latest labels');
  return latest;
}

/** The loss of a row as SQL: log loss, or squared error; NULL where label or answer is missing. */
export function lossSql(
  answer: Answer | undefined,
  { label, predicted, probabilities }: { label: string; predicted: string; probabilities: string },
): string {
  if (answer === undefined || answer.task === 'regression') return `(${label} - ${predicted}) ** 2`;
  const own = `${allProbabilities(answer, probabilities)}[${label}::INTEGER + 1]`;
  // least and greatest pass over NULL.
  return `(CASE WHEN ${own} IS NULL THEN NULL ELSE -ln(least(1, greatest(${SMALLEST_PROBABILITY}, ${own}))) END)`;
}

/** What two answers are compared by: the probability of the second of two classes, the highest of more, or the value. */
export function scoreSql(
  answer: Answer | undefined,
  { predicted, probabilities }: { predicted: string; probabilities: string },
): string {
  if (answer === undefined || answer.task === 'regression') return predicted;
  const all = allProbabilities(answer, probabilities);
  return answer.classes.length === 2 ? `${all}[2]` : `list_max(${all})`;
}

const allProbabilities = (answer: { classes: readonly unknown[] }, column: string): string =>
  `(CASE WHEN len(${column}) = ${answer.classes.length} THEN ${column} END)`;

/**
 * The class index of a JSON value, or the value itself, as SQL. A class is met by its text; true and false also by 1 and 0, and
 * numbers however they are written.
 */
export function indexSql(column: string, answer: Answer | undefined): string {
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
