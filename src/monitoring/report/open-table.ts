import { basename, join } from 'node:path';
import {
  type DuckdbSession,
  parquetRelation,
  quoteIdentifier,
  quoteText,
  resolvePath,
  tellFormat,
} from '../../datasets/index.ts';
import { ApiError } from '../../platform/index.ts';

export type TableColumnKind = 'number' | 'boolean' | 'text' | 'date';

export interface TableFileColumn {
  name: string;
  kind: TableColumnKind;
  /** Over the relation: a double, a text, or milliseconds as a double; NULL where missing, or NaN. */
  sql: string;
  /** Whether it can hold NaN and infinities. */
  isFloat?: boolean;
}

/** A file as something to count. */
export interface TableFile {
  name: string;
  relation: string;
  /** SQL that draws one of so many chunks for a row, at random, the same each time. */
  chunkSql: (chunks: number) => string;
  columns: TableFileColumn[];
  rows: number;
  notes: string[];
}

/** Small enough that DuckDB's parallel readers stay within the memory of the session. */
const CSV_BUFFER_BYTES = 2 * 2 ** 20;

/** What a CSV file becomes while it is looked at. */
export const scratchPath = (folder: string, which: string): string => join(folder, `${which}.parquet`);

/**
 * Opens a Parquet, CSV or JSON lines file. Text is read once, into a Parquet file in `folder`, since it is counted
 * several times.
 */
export async function openTable(
  session: DuckdbSession,
  path: string,
  { folder, which }: { folder: string; which: string },
): Promise<TableFile> {
  const name = basename(path);
  const format = await tellFormat(path, name);
  const notes: string[] = [];
  let parquet = path;
  if (format !== 'parquet') {
    parquet = scratchPath(folder, which);
    await convert(session, path, format, parquet, notes);
  }
  const described = await session
    .rows(`DESCRIBE SELECT * FROM ${parquetRelation(parquet)}`)
    .catch((error: unknown) => {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `${name} cannot be read as Parquet: it is damaged or of another format`,
        undefined,
        { cause: error },
      );
    });
  const columns: TableFileColumn[] = [];
  for (const row of described) {
    const column = toColumn(String(row['column_name']), String(row['column_type']));
    if (column) columns.push(column);
    else notes.push(`${String(row['column_name'])} is left out: it holds no single values`);
  }
  if (columns.length === 0) throw new ApiError('INVALID_PARAMETER_VALUE', `${name} has no column to compare`);
  const relation = `read_parquet(${quoteText(resolvePath(parquet))}, file_row_number = true)`;
  const { rows } = await session.row(`SELECT count(*) AS rows FROM ${relation}`);
  return {
    name,
    relation,
    chunkSql: (chunks) => `CAST(hash(file_row_number) % ${chunks} AS INTEGER)`,
    columns,
    rows: Number(rows),
    notes,
  };
}

async function convert(
  session: DuckdbSession,
  path: string,
  format: 'csv' | 'jsonl',
  out: string,
  notes: string[],
): Promise<void> {
  const from = quoteText(resolvePath(path));
  const to = `${quoteText(resolvePath(out))} (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 65536)`;
  const reader = (sample: string) =>
    format === 'csv'
      ? `read_csv(${from}, header = true, null_padding = false, sample_size = ${sample}, buffer_size = ${CSV_BUFFER_BYTES}, max_line_size = ${CSV_BUFFER_BYTES / 4})`
      : `read_json(${from}, format = 'newline_delimited', sample_size = ${sample})`;
  try {
    await session.run(`COPY (SELECT * FROM ${reader('20480')}) TO ${to}`);
  } catch {
    // Its first rows do not show the types of all: look at every row, which takes longer.
    notes.push('types were taken from all rows, since the first ones do not show them');
    await session.run(`COPY (SELECT * FROM ${reader('-1')}) TO ${to}`).catch((error: unknown) => {
      const problem = (error as Error).message.split('\n').slice(0, 2).join(' ');
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `${basename(path)} cannot be read as ${format === 'csv' ? 'CSV' : 'JSON lines'}: ${problem}`,
        undefined,
        { cause: error },
      );
    });
  }
}

function toColumn(name: string, duckdbType: string): TableFileColumn | undefined {
  const sql = quoteIdentifier(name);
  const base = duckdbType.replace(/\(.*$/s, '');
  if (/\[\d*\]$/.test(duckdbType)) return undefined;
  switch (base) {
    case 'BOOLEAN':
      return { name, kind: 'boolean', sql: `CAST(${sql} AS VARCHAR)` };
    case 'TINYINT':
    case 'SMALLINT':
    case 'INTEGER':
    case 'BIGINT':
    case 'HUGEINT':
    case 'UTINYINT':
    case 'USMALLINT':
    case 'UINTEGER':
    case 'UBIGINT':
    case 'UHUGEINT':
    case 'DECIMAL':
      return { name, kind: 'number', sql: `CAST(${sql} AS DOUBLE)` };
    case 'FLOAT':
    case 'DOUBLE':
      return { name, kind: 'number', sql: `CAST(${sql} AS DOUBLE)`, isFloat: true };
    case 'DATE':
    case 'TIMESTAMP':
    case 'TIMESTAMP_S':
    case 'TIMESTAMP_MS':
    case 'TIMESTAMP_NS':
    case 'TIMESTAMP WITH TIME ZONE':
      return { name, kind: 'date', sql: `CAST(epoch_ms(CAST(${sql} AS TIMESTAMP)) AS DOUBLE)` };
    case 'VARCHAR':
    case 'ENUM':
    case 'UUID':
      return { name, kind: 'text', sql: `nullif(CAST(${sql} AS VARCHAR), '')` };
    default:
      return undefined;
  }
}
