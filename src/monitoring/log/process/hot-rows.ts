import { readFile } from 'node:fs/promises';
import {
  DOUBLE,
  type DuckDBAppender,
  type DuckDBConnection,
  type DuckDBInstance,
  DuckDBUUIDValue,
  LIST,
  listValue,
} from '@duckdb/node-api';
import type { SyncRequest } from '../log-messages.ts';
import {
  type BadLine,
  type LabelRow,
  type PredictionRow,
  readLabel,
  readLines,
  readPrediction,
} from './read-lines.ts';

/** The columns of a table or file of predictions; `segment` and `line` say where a row came from. */
export const PREDICTION_COLUMNS = `segment BIGINT, line INTEGER, u UUID, id VARCHAR, t BIGINT, taken BIGINT, model VARCHAR,
  version VARCHAR, variant VARCHAR, ms DOUBLE, features VARCHAR, prediction VARCHAR, probabilities DOUBLE[], split_key VARCHAR,
  cloud_event VARCHAR`;
/** The columns of a table or file of labels. */
export const LABEL_COLUMNS = `segment BIGINT, line INTEGER, u UUID, id VARCHAR, t BIGINT, taken BIGINT, model VARCHAR, label VARCHAR`;

/** More column names than a model has are somebody's mischief: they are not offered as columns of a view. */
const MAX_COLUMN_NAMES = 1000;

/** Rows of segments that no file holds yet, in two tables of DuckDB. */
export interface HotBatch {
  name: string;
  predictions: string;
  labels: string;
  predictionRows: number;
  labelRows: number;
  segments: { id: number; rows: number; badLines: number }[];
  /** The logged columns of each model. */
  columns: Map<string, Set<string>>;
  models: Set<string>;
  setAside: (BadLine & { segment: number; kind: string })[];
}

let tables = 0;

export async function createBatch(instance: DuckDBInstance, name: string): Promise<HotBatch> {
  const number = ++tables;
  const batch: HotBatch = {
    name,
    predictions: `hot_predictions_${number}`,
    labels: `hot_labels_${number}`,
    predictionRows: 0,
    labelRows: 0,
    segments: [],
    columns: new Map(),
    models: new Set(),
    setAside: [],
  };
  const connection = await instance.connect();
  await connection.run(`CREATE TABLE ${batch.predictions} (${PREDICTION_COLUMNS})`);
  await connection.run(`CREATE TABLE ${batch.labels} (${LABEL_COLUMNS})`);
  connection.closeSync();
  return batch;
}

export async function dropBatch(instance: DuckDBInstance, batch: HotBatch): Promise<void> {
  const connection = await instance.connect();
  await connection.run(`DROP TABLE IF EXISTS ${batch.predictions}`);
  await connection.run(`DROP TABLE IF EXISTS ${batch.labels}`);
  connection.closeSync();
}

/** Adds the rows of segments to a batch. */
export async function loadSegments(
  instance: DuckDBInstance,
  batch: HotBatch,
  segments: NonNullable<SyncRequest['load']>['segments'],
): Promise<void> {
  const connection = await instance.connect();
  try {
    for (const segment of segments) {
      const bytes = await readFile(segment.path);
      const bad: BadLine[] = [];
      const rows =
        segment.kind === 'predictions'
          ? await loadPredictions(connection, batch, segment.id, bytes, bad)
          : await loadLabels(connection, batch, segment.id, bytes, bad);
      for (const line of bad) {
        batch.setAside.push({
          ...line,
          bytes: Uint8Array.from(line.bytes),
          segment: segment.id,
          kind: segment.kind,
        });
      }
      batch.segments.push({ id: segment.id, rows, badLines: bad.length });
    }
  } finally {
    connection.closeSync();
  }
}

async function loadPredictions(
  connection: DuckDBConnection,
  batch: HotBatch,
  segment: number,
  bytes: Uint8Array,
  bad: BadLine[],
): Promise<number> {
  const appender = await connection.createAppender(batch.predictions);
  const list = LIST(DOUBLE);
  let rows = 0;
  const append = (row: PredictionRow) => {
    appendHead(appender, segment, row);
    appendText(appender, row.version);
    appender.appendVarchar(row.variant);
    appender.appendDouble(row.ms);
    appender.appendVarchar(row.features);
    appender.appendVarchar(row.prediction);
    if (row.probabilities === null) appender.appendNull();
    else appender.appendList(listValue(row.probabilities), list);
    appendText(appender, row.splitKey);
    appendText(appender, row.cloudEvent);
    appender.endRow();
    rows++;
    batch.models.add(row.model);
    addColumns(batch.columns, row);
  };
  try {
    readLines(bytes, readPrediction, append, (line) => bad.push(line));
  } finally {
    appender.closeSync();
  }
  batch.predictionRows += rows;
  return rows;
}

async function loadLabels(
  connection: DuckDBConnection,
  batch: HotBatch,
  segment: number,
  bytes: Uint8Array,
  bad: BadLine[],
): Promise<number> {
  const appender = await connection.createAppender(batch.labels);
  let rows = 0;
  const append = (row: LabelRow) => {
    appendHead(appender, segment, row);
    appender.appendVarchar(row.label);
    appender.endRow();
    rows++;
    batch.models.add(row.model);
  };
  try {
    readLines(bytes, readLabel, append, (line) => bad.push(line));
  } finally {
    appender.closeSync();
  }
  batch.labelRows += rows;
  return rows;
}

function appendHead(appender: DuckDBAppender, segment: number, row: PredictionRow | LabelRow): void {
  appender.appendBigInt(BigInt(segment));
  appender.appendInteger(row.line);
  appender.appendUUID(DuckDBUUIDValue.fromUint128(row.key));
  appendText(appender, row.id);
  appender.appendBigInt(BigInt(row.t));
  appender.appendBigInt(BigInt(row.at));
  appendText(appender, row.model);
}

function appendText(appender: DuckDBAppender, text: string | null): void {
  if (text === null) appender.appendNull();
  // Text of the C interface ends at U+0000.
  else appender.appendVarchar(text.replaceAll('\0', '\ufffd'));
}

function addColumns(columns: HotBatch['columns'], { model, columns: names }: PredictionRow): void {
  const known = columns.get(model) ?? new Set();
  columns.set(model, known);
  for (const name of names) {
    // SQL ends at U+0000, so such a column has no name there.
    if (known.size < MAX_COLUMN_NAMES && !name.includes('\0')) known.add(name);
  }
}
