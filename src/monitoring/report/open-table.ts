import {
  type DuckdbSession,
  parquetRelation,
  quoteIdentifier,
  quoteText,
  resolvePath,
} from '../../datasets/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { ReadableTable } from './convert-text.ts';

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

/** Opens what is in Parquet by now. */
export async function openTable(
  session: DuckdbSession,
  { name, parquet, notes: before }: ReadableTable,
): Promise<TableFile> {
  const notes = [...before];
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
