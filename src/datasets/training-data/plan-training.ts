import { ApiError } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier } from '../duckdb/quote-sql.ts';
import type { DatasetColumn, DerivedColumns, FeatureColumn, TrainingPlan } from '../table.ts';
import { unknownColumn } from '../unknown-column.ts';
import { findCopy, scoreAlone } from './find-leakage.ts';
import { readTarget, type Target } from './read-target.ts';
import { type Outcome, tellTask } from './tell-task.ts';

export interface PlanRequest {
  /** A canonical Parquet file. */
  parquetPath: string;
  schema: readonly DatasetColumn[];
  /** A column's name, or an SQL expression over the columns of a row, such as `delay > 15`. */
  target: string;
  /** The column that names the entity; the one with the role `id` otherwise. */
  id?: string;
  /** The column that orders the rows; the one with the role `time` otherwise. */
  time?: string;
  /** Columns that must not become features. */
  ignore?: readonly string[];
  /** Columns that are computed from raw ones and learned from beside them. */
  derived?: DerivedColumns;
  /** Told from the target otherwise. */
  task?: 'classification' | 'regression';
  /** How many categories of a text column a model learns. */
  maxCategories?: number;
  timeLimitMs?: number;
  signal?: AbortSignal;
}

const DEFAULT_MAX_CATEGORIES = 500;
/** A text column whose values are nearly all different names its rows; at least this many rows to say so. */
const ID_LIKE_SHARE = 0.9;
const ID_LIKE_ROWS = 20;
/** From here on a column alone is said to give the target away. */
const GIVEN_AWAY = 0.99;

/**
 * Decides what is learned from what: checks the target, tells the task, and says of every column whether it becomes a feature and
 * if not, why. Throws `INVALID_PARAMETER_VALUE` for a target that is not there, not one expression, or says nothing.
 */
export async function planTraining(request: PlanRequest): Promise<TrainingPlan> {
  const { parquetPath, signal, timeLimitMs } = request;
  return withDuckdb({ read: [parquetPath], signal, timeLimitMs }, (session) => planIn(session, request));
}

/** The same in a session that is open and reads the file. */
export async function planIn(session: DuckdbSession, request: PlanRequest): Promise<TrainingPlan> {
  const { schema, derived } = request;
  const names = schema.map(({ name }) => name);
  const idColumn = request.id ?? schema.find(({ role }) => role === 'id')?.name;
  const timeColumn = request.time ?? schema.find(({ role }) => role === 'time')?.name;
  if (idColumn !== undefined && !names.includes(idColumn))
    throw unknownColumn(idColumn, names, 'the id column');
  if (timeColumn !== undefined && !names.includes(timeColumn))
    throw unknownColumn(timeColumn, names, 'the time column');
  for (const name of request.ignore ?? [])
    if (!names.includes(name)) throw unknownColumn(name, names, 'to be ignored');

  const raw = parquetRelation(request.parquetPath);
  const target = await readTarget(session, raw, request.target, names);
  for (const { name, uses } of derived?.columns ?? []) refuseTargetColumns(name, uses, target);
  const relation = derived ? derived.relation(raw) : raw;
  const notes: string[] = [];
  const outcome = await tellTask(session, relation, target, request.task, notes);
  const features: FeatureColumn[] = [];
  const excluded: TrainingPlan['excluded'] = [];
  const warnings: string[] = [];
  const given = {
    session,
    relation,
    target,
    outcome,
    notes,
    warnings,
    maxCategories: request.maxCategories ?? DEFAULT_MAX_CATEGORIES,
  };
  for (const column of schema) {
    const { name } = column;
    if (target.columns.includes(name))
      excluded.push({
        column: name,
        why:
          target.columns.length === 1 && target.name === name
            ? 'it is the target'
            : 'the target is made of it',
      });
    else if (name === idColumn) excluded.push({ column: name, why: 'it is the id column' });
    else if (request.ignore?.includes(name)) excluded.push({ column: name, why: 'it is to be ignored' });
    else {
      const judged = await judgeColumn(given, column);
      if (typeof judged === 'string') excluded.push({ column: name, why: judged });
      else features.push(judged);
    }
  }
  for (const { name, type, expression } of derived?.columns ?? []) {
    const judged = await judgeColumn(given, { name, type });
    if (typeof judged === 'string') excluded.push({ column: name, why: judged });
    else features.push({ ...judged, expression });
  }
  if (features.length === 0) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `No column is left to learn from: ${excluded.map(({ column, why }) => `${JSON.stringify(column)}: ${why}`).join('; ')}`,
    );
  }
  if (timeColumn !== undefined && features.some(({ name }) => name === timeColumn)) {
    notes.push(`the time column ${JSON.stringify(timeColumn)} orders the rows and is a feature too`);
  }
  const derivedFrom = usedColumns(features, derived);
  return {
    task: outcome.task,
    target: request.target,
    targetName: target.name,
    targetColumns: target.columns,
    targetSql: target.sql,
    features,
    inputs: await chooseInputs(given, schema, features, derivedFrom),
    derivedFrom,
    ...(outcome.classes ? { classes: outcome.classes } : {}),
    ...(idColumn === undefined ? {} : { idColumn }),
    ...(timeColumn === undefined ? {} : { timeColumn }),
    rows: outcome.rows,
    droppedRows: outcome.droppedRows,
    excluded,
    warnings,
    notes,
  };
}

function refuseTargetColumns(name: string, uses: readonly string[], target: Target): void {
  const known = uses.find((column) => target.columns.includes(column));
  if (known === undefined) return;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Feature ${JSON.stringify(name)} is made of ${JSON.stringify(known)}, and so is the target ${JSON.stringify(target.name)}: it would give the answer away`,
  );
}

/** The raw columns that the chosen derived features are made of. */
function usedColumns(features: readonly FeatureColumn[], derived: DerivedColumns | undefined): string[] {
  const chosen = new Set(features.map(({ name }) => name));
  const columns = derived?.columns.filter(({ name }) => chosen.has(name)) ?? [];
  return [...new Set(columns.flatMap(({ uses }) => uses))];
}

async function chooseInputs(
  given: Given,
  schema: readonly DatasetColumn[],
  features: readonly FeatureColumn[],
  derivedFrom: readonly string[],
): Promise<FeatureColumn[]> {
  const inputs: FeatureColumn[] = [];
  for (const { name, type } of schema) {
    const feature = features.find((candidate) => candidate.name === name);
    if (feature) inputs.push(feature);
    else if (derivedFrom.includes(name)) {
      const { filled } = await countValues(given, name);
      inputs.push({ name, type, nullable: filled < given.outcome.rows });
    }
  }
  return inputs;
}

async function countValues({ session, relation, target }: Given, name: string) {
  const counts = await session.row(
    `SELECT count(value) AS filled, count(DISTINCT value) AS distinct_values
     FROM (SELECT ${quoteIdentifier(name)} AS value, ${target.sql} AS target FROM ${relation}) WHERE target IS NOT NULL`,
  );
  return { filled: Number(counts['filled']), distinct: Number(counts['distinct_values']) };
}

interface Given {
  session: DuckdbSession;
  relation: string;
  target: Target;
  outcome: Outcome;
  notes: string[];
  warnings: string[];
  maxCategories: number;
}

/** The feature that a column becomes, or why it becomes none. */
async function judgeColumn(
  given: Given,
  { name, type }: Pick<DatasetColumn, 'name' | 'type'>,
): Promise<FeatureColumn | string> {
  const { session, relation, target, outcome } = given;
  const { filled, distinct } = await countValues(given, name);
  const nullable = filled < outcome.rows;
  if (filled === 0) return 'it has no values';
  if (distinct === 1 && !nullable) return 'it has the same value in every row';
  if (type === 'string' && filled >= ID_LIKE_ROWS && distinct > ID_LIKE_SHARE * filled) {
    return `nearly every row has a text of its own (${distinct} in ${filled} rows), as names and ids do`;
  }
  const leak = {
    session,
    relation,
    target: target.sql,
    task: outcome.task,
    targetDistinct: outcome.distinct,
    rows: outcome.rows,
  };
  const copy = await findCopy(leak, { name, type, distinct, nullable });
  if (copy) return copy;
  const score = await scoreAlone(leak, { name, type });
  if (score && score.value >= GIVEN_AWAY) {
    given.warnings.push(
      `column ${JSON.stringify(name)} alone predicts the target nearly perfectly (${score.metric} ${score.value.toFixed(3)}); ` +
        'if it is known only afterwards, ignore it',
    );
  }
  if (type === 'long' && filled >= ID_LIKE_ROWS && distinct === filled && !nullable) {
    given.notes.push(
      `column ${JSON.stringify(name)} has a whole number of its own in every row; if it names the rows, say that it is the id column`,
    );
  }
  const feature: FeatureColumn = { name, type, nullable };
  if (type !== 'string') return feature;
  return { ...feature, categories: await chooseCategories(given, name, distinct, filled) };
}

async function chooseCategories(
  { session, relation, target, notes, maxCategories }: Given,
  name: string,
  distinct: number,
  filled: number,
): Promise<string[]> {
  const column = quoteIdentifier(name);
  const rows = await session.rows(
    `SELECT value, count(*) AS n FROM (SELECT ${column} AS value, ${target.sql} AS target FROM ${relation})
     WHERE target IS NOT NULL AND value IS NOT NULL GROUP BY value ORDER BY n DESC, value LIMIT ${maxCategories}`,
  );
  if (distinct > rows.length) {
    const known = rows.reduce((sum, { n }) => sum + Number(n), 0);
    notes.push(
      `column ${JSON.stringify(name)} has ${distinct} categories; the ${rows.length} most frequent are learned, the others ` +
        `(${(100 * (1 - known / filled)).toFixed(1)} % of the rows) count as one`,
    );
  }
  return rows.map(({ value }) => String(value));
}
