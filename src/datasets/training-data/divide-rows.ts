import { ApiError } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation } from '../duckdb/duckdb-session.ts';
import { rawItems } from '../duckdb/duckdb-vectors.ts';
import { quoteIdentifier, quoteText } from '../duckdb/quote-sql.ts';
import type { SplitSpec, TrainingPlan } from '../table.ts';
import { DROPPED, type RowPlaces, splitRows } from './split-rows.ts';

/** Rows as DuckDB gives them: the number of the row in the file, since some of its joins mix the order. */
const ROW_NUMBER = 'row_number() OVER () - 1';

/** Which rows of the file are for the test, in the order of the file. */
export async function findTestRows(
  session: DuckdbSession,
  parquetPath: string,
  plan: TrainingPlan,
  split: SplitSpec,
): Promise<Int32Array> {
  return listTestRows((await divideRows(session, parquetRelation(parquetPath), plan, split)).divided);
}

/** Decides which rows are for training and which for the test; the times are milliseconds. */
export async function divideRows(
  session: DuckdbSession,
  relation: string,
  plan: TrainingPlan,
  split: SplitSpec,
): Promise<{ target: Float64Array; times?: Float64Array; divided: RowPlaces }> {
  const target = await loadTarget(session, relation, plan);
  const timeColumn = split.kind === 'time' ? split.timeColumn : plan.timeColumn;
  const loaded =
    timeColumn === undefined ? undefined : await loadTimes(session, relation, timeColumn, target.length);
  if (split.kind === 'time') checkTimes(loaded, split);
  const divided = splitRows(target, split, { classes: plan.classes?.length, times: loaded?.values });
  return { target, ...(loaded?.areDates ? { times: loaded.values } : {}), divided };
}

/** Where in the file the test rows are. */
export function listTestRows({ places, testRows }: RowPlaces): Int32Array {
  const rows = new Int32Array(testRows);
  for (let row = 0; row < places.length; row++) if (places[row]! < DROPPED) rows[-2 - places[row]!] = row;
  return rows;
}

/** The target of every row of the file: a number, or the index of its class; NaN where it is missing. */
async function loadTarget(
  session: DuckdbSession,
  relation: string,
  plan: TrainingPlan,
): Promise<Float64Array> {
  const { classes } = plan;
  const text = typeof classes?.[0] === 'string';
  const value = text
    ? `coalesce(${enumCode('target', classes as string[])}, -1)::DOUBLE`
    : `coalesce(CAST(target AS DOUBLE), 'NaN'::DOUBLE)`;
  const target = await loadDoubles(
    session,
    `SELECT position, ${value} FROM (SELECT ${ROW_NUMBER} AS position, ${plan.targetSql} AS target FROM ${relation})`,
    await countRows(session, relation),
  );
  if (!classes) return target;
  const codes = text ? undefined : new Map(classes.map((value, index) => [Number(value), index]));
  for (let row = 0; row < target.length; row++) {
    const given = target[row]!;
    const code = codes ? (codes.get(given) ?? Number.NaN) : given;
    target[row] = code < 0 ? Number.NaN : code;
  }
  return target;
}

/** The time of every row: milliseconds, or whatever number the column holds. */
async function loadTimes(
  session: DuckdbSession,
  relation: string,
  name: string,
  rows: number,
): Promise<{ values: Float64Array; areDates: boolean } | undefined> {
  const described = await session.rows(`DESCRIBE SELECT * FROM ${relation}`);
  const type = described.find((row) => row['column_name'] === name)?.['column_type'];
  if (type === undefined) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `Rows cannot be split by time: there is no column ${JSON.stringify(name)}`,
    );
  }
  if (type === 'VARCHAR' || type === 'BOOLEAN') return undefined;
  const areDates = type === 'TIMESTAMP';
  const value = areDates ? `epoch_us(${quoteIdentifier(name)}) / 1000` : quoteIdentifier(name);
  const values = await loadDoubles(
    session,
    `SELECT ${ROW_NUMBER}, coalesce(CAST(${value} AS DOUBLE), 'NaN'::DOUBLE) FROM ${relation}`,
    rows,
  );
  return { values, areDates };
}

function checkTimes(
  loaded: { areDates: boolean } | undefined,
  { timeColumn, testFrom }: Extract<SplitSpec, { kind: 'time' }>,
): void {
  if (loaded && (loaded.areDates || testFrom === undefined)) return;
  const column = JSON.stringify(timeColumn);
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Rows cannot be split by time: column ${column} holds ${loaded ? 'numbers, and a moment is asked for' : 'no dates or numbers'}`,
  );
}

async function countRows(session: DuckdbSession, relation: string): Promise<number> {
  return Number((await session.row(`SELECT count(*) AS n FROM ${relation}`))['n']);
}

async function loadDoubles(session: DuckdbSession, sql: string, rows: number): Promise<Float64Array> {
  const values = new Float64Array(rows);
  for await (const chunk of session.chunks(sql)) {
    const positions = rawItems<BigInt64Array>(chunk, 0);
    const given = rawItems<Float64Array>(chunk, 1);
    const first = startOfRun(positions);
    if (first >= 0) values.set(given, first);
    else for (let index = 0; index < given.length; index++) values[Number(positions[index])] = given[index]!;
  }
  return values;
}

/** The first of row numbers that count up by one, or -1 where they do not. */
function startOfRun(positions: BigInt64Array): number {
  const first = positions[0]!;
  for (let index = 1; index < positions.length; index++)
    if (positions[index] !== first + BigInt(index)) return -1;
  return Number(first);
}

/** The index of a text in a list of texts; NULL where it is not in it. */
export const enumCode = (sql: string, texts: readonly string[]) =>
  `enum_code(TRY_CAST(${sql} AS ENUM(${texts.map(quoteText).join(', ')})))`;
