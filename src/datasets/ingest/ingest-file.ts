import { open, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { ApiError } from '../../platform/index.ts';
import { describeTable, type TableStatistics } from '../describe-table.ts';
import { digestTable } from '../digest-table.ts';
import { type DuckdbSession, resolvePath, withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../duckdb/quote-sql.ts';
import type { ColumnRole, DatasetColumn } from '../table.ts';
import { unknownColumn } from '../unknown-column.ts';
import { readCsvSource } from './read-csv-source.ts';
import { readJsonLinesSource } from './read-json-lines-source.ts';
import { readParquetSource } from './read-parquet-source.ts';
import type { SourceFormat, SourceTable } from './source-table.ts';

export interface IngestRequest {
  path: string;
  /** Where the canonical Parquet file is written; it is replaced. */
  outPath: string;
  /** How messages and provenance call the file; its base name otherwise. */
  sourceName?: string;
  /** Told from the name and the first bytes otherwise. */
  format?: SourceFormat;
  id?: string;
  time?: string;
  /** Columns to keep as text whatever their values look like. */
  text?: readonly string[];
  onProgress?: (progress: IngestProgress) => void;
  signal?: AbortSignal;
  memoryLimitMb?: number;
}

/** How far an ingest is: `done` goes from 0 to 1 in every phase. */
export interface IngestProgress {
  phase: 'read' | 'write' | 'describe' | 'digest';
  done: number;
}

/** A table in canonical form, with all that its version records. */
export interface IngestedTable {
  path: string;
  format: SourceFormat;
  digest: string;
  rows: number;
  schema: DatasetColumn[];
  statistics: TableStatistics;
  source: { kind: 'file'; name: string; sha256: string; sizeBytes: number };
  notes: string[];
}

/**
 * Reads a CSV, Parquet or JSON lines file, writes it as canonical Parquet (zstd; double, long, boolean, string, datetime) and
 * describes it. Throws `INVALID_PARAMETER_VALUE` naming line, column and value where the file is not right.
 */
export async function ingestFile(request: IngestRequest): Promise<IngestedTable> {
  const sourceName = request.sourceName ?? basename(request.path);
  const size = await sizeOfFile(request.path);
  if (size === 0) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${sourceName}: the file is empty; its first line has to name the columns`,
    );
  }
  const format = request.format ?? (await tellFormat(request.path, sourceName));
  const { signal, memoryLimitMb } = request;
  return withDuckdb(
    { read: [request.path], write: [request.outPath], signal, memoryLimitMb },
    async (session) => {
      const read = { csv: readCsvSource, parquet: readParquetSource, jsonl: readJsonLinesSource }[format];
      const source = await read({
        session,
        path: request.path,
        sourceName,
        text: request.text ?? [],
        signal,
        onProgress: (bytes) => request.onProgress?.({ phase: 'read', done: Math.min(1, bytes / size) }),
      });
      checkOptions(request, source);
      if (source.rows === 0) throw noRows(sourceName);
      request.onProgress?.({ phase: 'write', done: 0 });
      await writeCanonical(session, source, request.outPath, sourceName);
      request.onProgress?.({ phase: 'write', done: 1 });
      const table = await describeCanonical(session, request, source);
      if (table.rows === 0) throw noRows(sourceName);
      if (source.rows !== undefined && source.rows !== table.rows) {
        throw new Error(`${sourceName}: counted ${source.rows} rows but read ${table.rows}`);
      }
      return {
        ...table,
        path: request.outPath,
        format,
        source: { kind: 'file', name: sourceName, sha256: source.sha256, sizeBytes: source.sizeBytes },
      };
    },
  );
}

/** The bytes of a file, in `INVALID_PARAMETER_VALUE` where there is none to read. */
export async function sizeOfFile(path: string): Promise<number> {
  const found = await stat(path).catch(() => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `No file ${path}`);
  });
  if (found.isDirectory()) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${path} is a folder; name one CSV, Parquet or JSON lines file`,
    );
  }
  return found.size;
}

const noRows = (sourceName: string) =>
  new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}: the file names columns but has no rows`);

const MAX_COLUMNS = 10_000;

function checkOptions({ id, time, text = [], sourceName, path }: IngestRequest, source: SourceTable): void {
  const names = source.columns.map(({ name }) => name);
  if (names.length === 0) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${sourceName ?? basename(path)}: no column can be used. ${source.notes.join('; ')}`,
    );
  }
  if (names.length > MAX_COLUMNS) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${sourceName ?? basename(path)}: ${names.length} columns; at most ${MAX_COLUMNS} can be used`,
    );
  }
  if (id !== undefined && !names.includes(id)) throw unknownColumn(id, names, 'the id column');
  if (time !== undefined && !names.includes(time)) throw unknownColumn(time, names, 'the time column');
  for (const name of text) if (!names.includes(name)) throw unknownColumn(name, names, 'a text column');
  const timeType = source.columns.find(({ name }) => name === time)?.type;
  if (timeType === 'string' || timeType === 'boolean') {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `The time column ${JSON.stringify(time)} holds ${timeType === 'string' ? 'text' : 'truth values'}; it needs dates (2026-01-31, 2026-01-31T12:00:00Z) or numbers`,
    );
  }
}

async function writeCanonical(
  session: DuckdbSession,
  source: SourceTable,
  outPath: string,
  sourceName: string,
): Promise<void> {
  const selected = source.columns.map(({ name, sql }) => `${sql} AS ${quoteIdentifier(name)}`);
  await session
    .run(
      `COPY (SELECT ${selected.join(', ')} FROM ${source.relation}) TO ${quoteText(resolvePath(outPath))}
       (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE ${rowsOfGroup(source.columns.length)}, USE_TMP_FILE false)`,
    )
    .catch(async (error: unknown) => {
      await source.findBadLine?.();
      if (
        error instanceof Error &&
        /^(Invalid Input|Conversion|TProtocol|IO|Snappy|Invalid) ?(Error|Exception)/i.test(error.message)
      ) {
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `${sourceName} cannot be read to its end: ${error.message.split('\n')[0]}`,
          undefined,
          { cause: error },
        );
      }
      throw error;
    });
}

/** Fewer where rows are wide: a group lies in memory before it is written. */
export const rowsOfGroup = (columns: number): number =>
  Math.max(2048, Math.min(122_880, Math.floor(12_288_000 / columns)));

/** Schema, statistics and digest of a canonical file that was just written. */
export async function describeCanonical(
  session: DuckdbSession,
  request: Pick<IngestRequest, 'outPath' | 'id' | 'time' | 'onProgress'>,
  source: Pick<SourceTable, 'columns' | 'notes'>,
): Promise<Pick<IngestedTable, 'rows' | 'schema' | 'statistics' | 'digest' | 'notes'>> {
  const { outPath, id, time, onProgress } = request;
  const { statistics, notes } = await describeTable(session, outPath, source.columns, (done) =>
    onProgress?.({ phase: 'describe', done }),
  );
  const schema = source.columns.map(({ name, type }, index): DatasetColumn => {
    const role: ColumnRole | undefined = name === id ? 'id' : name === time ? 'time' : undefined;
    const nullable = (statistics.columns[index]?.missing ?? 0) > 0;
    return role ? { name, type, nullable, role } : { name, type, nullable };
  });
  const digest = await digestTable(session, outPath, schema, statistics.rows, (done) =>
    onProgress?.({ phase: 'digest', done }),
  );
  return { rows: statistics.rows, schema, statistics, digest, notes: [...source.notes, ...notes] };
}

/** Tells a file's format by its first bytes, and by its name where they leave it open. */
export async function tellFormat(path: string, sourceName: string): Promise<SourceFormat> {
  const fail = (problem: string): never => {
    throw new ApiError('UNSUPPORTED_MEDIA_TYPE', `${sourceName}: ${problem}`);
  };
  const file = await open(path);
  const head = Buffer.alloc(4096);
  const { bytesRead } = await file.read(head, 0, head.length, 0);
  await file.close();
  const bytes = head.subarray(0, bytesRead);
  if (bytes.subarray(0, 4).toString('latin1') === 'PAR1') return 'parquet';
  if (/\.parquet$/i.test(sourceName)) fail('this is not a Parquet file');
  if (bytes[0] === 0x1f && bytes[1] === 0x8b)
    fail('the file is compressed with gzip; decompress it first (gunzip)');
  if (bytes[0] === 0x50 && bytes[1] === 0x4b)
    fail('this is a ZIP archive or an Excel sheet; save the table as CSV');
  if ((bytes[0] === 0xff && bytes[1] === 0xfe) || (bytes[0] === 0xfe && bytes[1] === 0xff)) {
    fail('the text is UTF-16; save the file as UTF-8');
  }
  if (bytes.includes(0)) fail('this is not a text file; CSV, Parquet and JSON lines can be read');
  if (/\.(jsonl|ndjson)$/i.test(sourceName)) return 'jsonl';
  if (/\.(csv|tsv|tab|txt)$/i.test(sourceName)) return 'csv';
  const start = bytes.toString('utf8').trimStart();
  if (start.startsWith('{')) return 'jsonl';
  if (start.startsWith('[') && /\.json$/i.test(sourceName)) {
    fail('this is one JSON list; give JSON lines, one object per line');
  }
  return 'csv';
}
