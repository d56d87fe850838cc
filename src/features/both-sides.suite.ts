import { DuckDBInstance } from '@duckdb/node-api';
import {
  createRowCoder,
  createSession,
  MISSING_TEXT,
  OnnxGraphBuilder,
  SIGNATURE_KEY,
  type Signature,
  writeSignature,
} from '../models/index.ts';
import { deriveRelation } from './derive-relation.ts';
import { createFeatureWriter } from './graph/write-features.ts';
import type { SourceType } from './language/expression.ts';
import type { Feature } from './language/parse-features.ts';

/** The columns of the tables on which SQL and graph are compared. */
export const SCHEMA: { name: string; type: SourceType }[] = [
  { name: 'a', type: 'double' },
  { name: 'b', type: 'double' },
  { name: 'n', type: 'long' },
  { name: 'flag', type: 'boolean' },
  { name: 'on', type: 'boolean' },
  { name: 'city', type: 'string' },
  { name: 'from city', type: 'string' },
  { name: 'at', type: 'datetime' },
  { name: 'until', type: 'datetime' },
];

/** A row by SCHEMA; dates are milliseconds. */
export type Row = Record<string, number | boolean | string | null>;

const TYPES = {
  double: 'DOUBLE',
  long: 'BIGINT',
  boolean: 'BOOLEAN',
  string: 'VARCHAR',
  datetime: 'TIMESTAMP',
};

/** What features give for each row: numbers rounded to float32, booleans as 0 and 1, null where missing. */
export type Answers = (number | string | null)[][];

/** The features' answers by DuckDB. */
export async function answerInSql(features: readonly Feature[], rows: readonly Row[]): Promise<Answers> {
  const instance = await DuckDBInstance.create(':memory:', { threads: '1', memory_limit: '500MB' });
  const connection = await instance.connect();
  try {
    await connection.run(`SET TimeZone = 'UTC'`);
    const columns = SCHEMA.map(({ name, type }) => `"${name}" ${TYPES[type]}`);
    await connection.run(`CREATE TABLE rows (${columns.join(', ')})`);
    const values = rows.map(
      (row) => `(${SCHEMA.map(({ name, type }) => literal(row[name]!, type)).join(', ')})`,
    );
    await connection.run(`INSERT INTO rows VALUES ${values.join(', ')}`);
    const selected = features.map(({ name }) => `"${name}"`).join(', ');
    const reader = await connection.runAndReadAll(
      `SELECT ${selected} FROM ${deriveRelation(features, 'rows')}`,
    );
    const columnsRead = reader.getColumnsJS();
    return features.map(({ type }, index) =>
      columnsRead[index]!.map((value) => {
        if (value === null) return null;
        return type === 'text' ? (value as string) : Math.fround(Number(value));
      }),
    );
  } finally {
    connection.closeSync();
    instance.closeSync();
  }
}

function literal(value: Row[string], type: SourceType): string {
  if (value === null || value === undefined) return 'NULL';
  if (type === 'datetime') return `epoch_ms(${String(value)}::BIGINT)`;
  if (type === 'string') return `'${String(value).replaceAll("'", "''")}'`;
  return type === 'double' ? `'${String(value)}'::DOUBLE` : String(value);
}

/** The features' answers by ONNX Runtime, the rows coded as a model server codes them. */
export async function answerInGraph(features: readonly Feature[], rows: readonly Row[]): Promise<Answers> {
  const graph = new OnnxGraphBuilder();
  const inputs: Signature['inputs'] = [
    { name: 'numbers', elementType: 'float64', columns: ['a', 'b', 'n', 'flag', 'on'] },
    { name: 'texts', elementType: 'string', columns: ['city', 'from city'] },
    { name: 'dates', elementType: 'int64', columns: ['at', 'until'] },
  ];
  for (const { name, elementType, columns } of inputs)
    graph.input(name, elementType, ['rows', columns.length]);
  const writer = createFeatureWriter(graph, inputs);
  for (const feature of features) {
    const name = `feature:${feature.name}`;
    writer.write(feature, name);
    graph.output(name, feature.type === 'text' ? 'string' : 'float32', ['rows', 1]);
  }
  graph.initializer('first', 'int64', [1], [0]);
  graph.node('Gather', ['numbers', 'first'], 'answer', { axis: { int: 1 } });
  graph.output('answer', 'float64', ['rows', 1]);
  const signature: Signature = {
    columns: SCHEMA.map(({ name, type }) => ({ name, type, nullable: true })),
    inputs,
    output: { task: 'regression', target: 'y', value: 'answer' },
    missingText: MISSING_TEXT,
  };
  const session = await createSession(
    graph.encode({ metadata: { [SIGNATURE_KEY]: writeSignature(signature) } }),
  );
  try {
    const output = await session.run(createRowCoder(signature).encode(rows));
    return features.map(({ name }) =>
      Array.from<number | string, number | string | null>(output.features![name]!, (value) =>
        value === MISSING_TEXT || Number.isNaN(value) ? null : value,
      ),
    );
  } finally {
    await session.release();
  }
}

/** The first feature and row on which two answers differ, in words; undefined where they do not. */
export function differenceOf(
  features: readonly Feature[],
  a: Answers,
  b: Answers,
  rows: readonly Row[],
): string | undefined {
  for (const [index, { name, expression }] of features.entries()) {
    for (const [row, raw] of rows.entries()) {
      const [left, right] = [a[index]![row]!, b[index]![row]!];
      // Zero has two signs, which nothing that reads a feature tells apart.
      if (left === right) continue;
      return `${name} = ${expression}: ${left} in SQL, ${right} in the graph, for ${JSON.stringify(raw)}`;
    }
  }
  return undefined;
}
