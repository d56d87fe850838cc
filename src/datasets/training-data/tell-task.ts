import { ApiError } from '../../platform/index.ts';
import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import type { ClassValue, TrainingTask } from '../table.ts';
import { refuseTarget, type Target } from './read-target.ts';

const MAX_CLASSES = 1000;
/** Whole numbers with at most this many different values are taken as classes. */
const FEW_WHOLE_NUMBERS = 10;

/** What kind of answer is learned, and what the target's values are. */
export interface Outcome {
  task: TrainingTask;
  classes?: ClassValue[];
  rows: number;
  droppedRows: number;
  /** Different values of the target. */
  distinct: number;
}

/** Tells the task from the target. Throws `INVALID_PARAMETER_VALUE` for a target that says nothing. */
export async function tellTask(
  session: DuckdbSession,
  relation: string,
  target: Target,
  wanted: 'classification' | 'regression' | undefined,
  notes: string[],
): Promise<Outcome> {
  const fail = (problem: string): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `The target ${JSON.stringify(target.name)} ${problem}`);
  };
  const whole = target.type === 'double' ? 'bool_and(target = trunc(target))' : 'true';
  const counts = await session
    .row(
      `SELECT count(*) AS rows, count(target) AS filled, count(DISTINCT target) AS distinct_values, ${whole} AS whole
       FROM (SELECT ${target.sql} AS target FROM ${relation})`,
    )
    .catch((error: unknown) => refuseTarget(target.name, error));
  const rows = Number(counts['filled']);
  const droppedRows = Number(counts['rows']) - rows;
  const distinct = Number(counts['distinct_values']);
  if (rows === 0) fail('is missing in every row');
  if (distinct === 1) fail(`has the same value in all ${rows} rows; there is nothing to learn`);
  if (droppedRows > 0) notes.push(`${droppedRows} rows without a target are left out`);
  const numeric = target.type === 'double' || target.type === 'long';
  if (wanted === 'regression' && !numeric) fail(`is a ${target.type}; regression needs a number`);
  const few =
    counts['whole'] === true &&
    (distinct === 2 || (target.type === 'long' && distinct <= FEW_WHOLE_NUMBERS && rows >= distinct * 5));
  const classification = wanted ? wanted === 'classification' : !numeric || few;
  if (!classification) return { task: 'regression', rows, droppedRows, distinct };
  if (distinct > MAX_CLASSES) fail(`has ${distinct} different values; classes can be at most ${MAX_CLASSES}`);
  if (numeric && wanted === undefined) {
    notes.push(
      `the target's ${distinct} whole numbers are taken as classes; say that the task is regression to predict the number itself`,
    );
  }
  const values = await session.rows(
    `SELECT ${numeric ? 'CAST(target AS DOUBLE)' : 'target'} AS value, count(*) AS n
     FROM (SELECT ${target.sql} AS target FROM ${relation}) WHERE target IS NOT NULL GROUP BY target`,
  );
  const classes = values.map(({ value }) => value as ClassValue).sort(compareClasses);
  const rare = values.filter(({ n }) => Number(n) < 5);
  if (rare.length > 0) notes.push(`${rare.length} of the ${classes.length} classes have fewer than 5 rows`);
  return { task: distinct === 2 ? 'binary' : 'multiclass', classes, rows, droppedRows, distinct };
}

function compareClasses(a: ClassValue, b: ClassValue): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
