import { type DuckdbSession, parquetRelation, withDuckdb } from '../duckdb/duckdb-session.ts';
import { rawItems } from '../duckdb/duckdb-vectors.ts';
import { quoteIdentifier, wholeMs } from '../duckdb/quote-sql.ts';
import type {
  DerivedColumns,
  FeatureColumn,
  RawColumn,
  SplitSpec,
  Table,
  TableColumn,
  TrainingPlan,
} from '../table.ts';
import { divideRows, enumCode, listTestRows } from './divide-rows.ts';
import { DROPPED, type RowPlaces, testPlace } from './split-rows.ts';

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

function featureSql({ name, type, categories }: FeatureColumn): string {
  const column = quoteIdentifier(name);
  switch (type) {
    case 'string':
      return categories?.length
        ? `CAST(CASE WHEN ${column} IS NULL THEN -1 ELSE coalesce(${enumCode(column, categories)}, ${categories.length}) END AS INTEGER)`
        : 'CAST(-1 AS INTEGER)';
    case 'datetime':
      return `coalesce(CAST(${wholeMs(column)} AS DOUBLE), 'NaN'::DOUBLE)`;
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
