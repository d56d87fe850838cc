import { ApiError } from '../../platform/index.ts';
import { type DuckdbSession, parquetRelation, withDuckdb } from '../duckdb-session.ts';
import { rawItems } from '../duckdb-vectors.ts';
import { quoteIdentifier, quoteText } from '../quote-sql.ts';
import type {
  DerivedColumns,
  FeatureColumn,
  RawColumn,
  SplitSpec,
  Table,
  TableColumn,
  TrainingPlan,
} from '../table.ts';
import { DROPPED, type RowPlaces, splitRows, testPlace } from './split-rows.ts';

export interface LoadRequest {
  /** A canonical Parquet file, the one that was planned for. */
  parquetPath: string;
  plan: TrainingPlan;
  split: SplitSpec;
  /** As the plan had them. */
  derived?: DerivedColumns;
  onProgress?: (done: number) => void;
  signal?: AbortSignal;
  threads?: number;
}

export interface LoadedTable {
  train: Table;
  test: Table;
  /** Where in the file the test rows are, counted from 0. */
  testRows: Int32Array;
}

/** Rows as DuckDB gives them: the number of the row in the file, since some of its joins mix the order. */
const ROW_NUMBER = 'row_number() OVER () - 1';

/**
 * Loads the rows that have a target into typed arrays, divided into training and test rows. The same seed gives the same rows,
 * in the order of the file, whatever the number of threads. Numbers are rounded to float32, as models take them.
 */
export async function loadTable(request: LoadRequest): Promise<LoadedTable> {
  const { parquetPath, signal, threads } = request;
  return withDuckdb({ read: [parquetPath], signal, threads }, (session) => loadIn(session, request));
}

/** The same in a session that is open and reads the file. */
export async function loadIn(session: DuckdbSession, request: LoadRequest): Promise<LoadedTable> {
  const { parquetPath, plan, split, derived } = request;
  const relation = parquetRelation(parquetPath);
  const { target, times, divided } = await divideRows(session, relation, plan, split);
  request.onProgress?.(0.2);
  const parts = {
    train: createTable(plan, divided.trainRows, times),
    test: createTable(plan, divided.testRows, times),
  };
  scatter(target, divided.places, parts.train.target, parts.test.target);
  if (times) scatter(times, divided.places, parts.train.times!, parts.test.times!);
  await loadFeatures(session, derived ? derived.relation(relation) : relation, plan, divided, parts, (done) =>
    request.onProgress?.(0.2 + 0.8 * done),
  );
  return { ...parts, testRows: listTestRows(divided) };
}

/** Which rows of the file are for the test, in the order of the file. */
export async function findTestRows(
  session: DuckdbSession,
  parquetPath: string,
  plan: TrainingPlan,
  split: SplitSpec,
): Promise<Int32Array> {
  return listTestRows((await divideRows(session, parquetRelation(parquetPath), plan, split)).divided);
}

async function divideRows(
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

function listTestRows({ places, testRows }: RowPlaces): Int32Array {
  const rows = new Int32Array(testRows);
  for (let row = 0; row < places.length; row++) if (places[row]! < DROPPED) rows[-2 - places[row]!] = row;
  return rows;
}

function createTable(plan: TrainingPlan, rows: number, times: Float64Array | undefined): Table {
  const derivedFrom = plan.inputs.filter(({ name }) => plan.derivedFrom.includes(name));
  return {
    rows,
    columns: plan.features.map((feature) => createColumn(feature, rows)),
    ...(derivedFrom.length > 0 ? { raw: derivedFrom.map((input) => createRawColumn(input, rows)) } : {}),
    ...(times ? { times: new Float64Array(rows) } : {}),
    target: new Float64Array(rows),
    targetName: plan.targetName,
    task: plan.task,
    ...(plan.classes ? { classes: plan.classes } : {}),
  };
}

function createColumn({ name, type, categories, expression }: FeatureColumn, rows: number): TableColumn {
  const derived = expression === undefined ? {} : { derived: true as const };
  switch (type) {
    case 'string':
      return {
        name,
        type: 'category',
        codes: new Int32Array(rows),
        categories: categories ?? [],
        ...derived,
      };
    case 'datetime':
      return { name, type: 'datetime', values: new Float64Array(rows) };
    case 'double':
    case 'long':
    case 'boolean':
      return { name, type: 'numeric', source: type, values: new Float32Array(rows), ...derived };
  }
}

function createRawColumn({ name, type }: FeatureColumn, rows: number): RawColumn {
  switch (type) {
    case 'string':
      return { name, type: 'text', codes: new Int32Array(rows), texts: [] };
    case 'datetime':
      return { name, type: 'datetime', values: new Float64Array(rows) };
    case 'double':
    case 'long':
    case 'boolean':
      return { name, type: 'numeric', source: type, values: new Float64Array(rows) };
  }
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
const enumCode = (sql: string, texts: readonly string[]) =>
  `enum_code(TRY_CAST(${sql} AS ENUM(${texts.map(quoteText).join(', ')})))`;

function featureSql({ name, type, categories }: FeatureColumn): string {
  const column = quoteIdentifier(name);
  switch (type) {
    case 'string':
      return categories?.length
        ? `CAST(CASE WHEN ${column} IS NULL THEN -1 ELSE coalesce(${enumCode(column, categories)}, ${categories.length}) END AS INTEGER)`
        : 'CAST(-1 AS INTEGER)';
    case 'datetime':
      return `coalesce(CAST(epoch_ms(${column}) AS DOUBLE), 'NaN'::DOUBLE)`;
    case 'double':
    case 'long':
    case 'boolean':
      return `coalesce(CAST(${column} AS DOUBLE), 'NaN'::DOUBLE)`;
  }
}

/** A raw column as it came; texts in themselves. */
function rawSql({ name, type }: FeatureColumn): string {
  return type === 'string' ? quoteIdentifier(name) : featureSql({ name, type, nullable: true });
}

async function loadFeatures(
  session: DuckdbSession,
  relation: string,
  plan: TrainingPlan,
  { places }: RowPlaces,
  { train, test }: { train: Table; test: Table },
  onProgress: (done: number) => void,
): Promise<void> {
  let row = 0;
  const raw = plan.inputs.filter(({ name }) => plan.derivedFrom.includes(name));
  const selected = [...plan.features.map(featureSql), ...raw.map(rawSql)];
  const dictionaries = raw.map(() => new Map<string, number>());
  for await (const chunk of session.chunks(`SELECT ${selected.join(', ')} FROM ${relation}`)) {
    const here = places.subarray(row, row + chunk.rowCount);
    for (const index of plan.features.keys()) {
      const items = rawItems<Float64Array | Int32Array>(chunk, index);
      scatter(items, here, valuesOf(train.columns[index]!), valuesOf(test.columns[index]!));
    }
    for (const [index, { type }] of raw.entries()) {
      const at = plan.features.length + index;
      const items =
        type === 'string'
          ? codeTexts(chunk.getColumnValues(at) as (string | null)[], dictionaries[index]!)
          : rawItems<Float64Array>(chunk, at);
      scatter(items, here, valuesOf(train.raw![index]!), valuesOf(test.raw![index]!));
    }
    row += chunk.rowCount;
    onProgress(row / places.length);
  }
  for (const part of [train, test]) {
    for (const [index, column] of (part.raw ?? []).entries())
      if (column.type === 'text') column.texts = [...dictionaries[index]!.keys()];
  }
  if (row !== places.length) throw new Error(`Read ${row} rows of a file of ${places.length}`);
}

function codeTexts(texts: readonly (string | null)[], dictionary: Map<string, number>): Int32Array {
  return Int32Array.from(texts, (text) => {
    if (text === null) return -1;
    const known = dictionary.get(text);
    if (known !== undefined) return known;
    dictionary.set(text, dictionary.size);
    return dictionary.size - 1;
  });
}

const valuesOf = (column: TableColumn | RawColumn) => ('codes' in column ? column.codes : column.values);

type Values = Float32Array | Float64Array | Int32Array;

function scatter(items: Float64Array | Int32Array, places: Int32Array, train: Values, test: Values): void {
  for (let index = 0; index < items.length; index++) {
    const place = places[index]!;
    if (place >= 0) train[place] = items[index]!;
    else if (place !== DROPPED) test[testPlace(place)] = items[index]!;
  }
}
