import { open } from 'node:fs/promises';
import { resolvePath } from '../duckdb/duckdb-session.ts';
import { quoteText } from '../duckdb/quote-sql.ts';
import { inferTextColumns } from './infer-text-columns.ts';
import { lineOfCsvRecord, scanCsv } from './scan-csv.ts';
import { sniffCsv } from './sniff-csv.ts';
import type { SourceRequest, SourceTable } from './source-table.ts';

const HEAD_BYTES = 2 ** 20;
/** DuckDB's own default; its read buffers are multiples of it. */
const MIN_LINE_BYTES = 2 * 2 ** 20;
const WIDE_COLUMNS = 40;

/**
 * Checks a CSV file line by line and infers its types over all rows.
 * We check the form ourselves, since DuckDB's messages give no line for some errors and its parallel reader trips over
 * quoted line breaks.
 */
export async function readCsvSource(request: SourceRequest): Promise<SourceTable> {
  const { session, path, sourceName, text, signal } = request;
  const { delimiter, columnNames } = sniffCsv(await readHead(path, HEAD_BYTES), sourceName);
  const scanRequest = { path, sourceName, delimiter, columnCount: columnNames.length, signal };
  const scan = await scanCsv({
    ...scanRequest,
    onProgress: (bytes) => request.onProgress?.(bytes),
  });
  const lineBytes = Math.max(MIN_LINE_BYTES, scan.longestRecordBytes + 1024);
  const reader =
    `read_csv(${quoteText(resolvePath(path))}, auto_detect = false, header = true, delim = ${quoteText(delimiter)}, ` +
    `quote = '"', escape = '"', nullstr = '', allow_quoted_nulls = false, strict_mode = true, null_padding = false, ` +
    `parallel = ${!scan.quotedLineBreaks}, max_line_size = ${lineBytes}, buffer_size = ${lineBytes * 4}, ` +
    `columns = {${columnNames.map((_, index) => `'c${index}': 'VARCHAR'`).join(', ')}})`;
  let relation = reader;
  if (columnNames.length > WIDE_COLUMNS) {
    // DuckDB reads wide rows slowly, and they are looked at in several passes.
    await session.run(`CREATE TEMP TABLE wide_rows AS SELECT * FROM ${reader}`);
    relation = 'wide_rows';
  }
  const { columns, notes } = await inferTextColumns({
    session,
    relation,
    rows: scan.records,
    sourceName,
    decimalComma: delimiter === ';',
    lineOfRow: (row) => lineOfCsvRecord(scanRequest, row),
    columns: columnNames.map((name, index) => ({
      name,
      sql: `c${index}`,
      candidates: text.includes(name) ? [] : (['number', 'boolean', 'datetime'] as const),
    })),
  });
  return {
    relation,
    columns,
    notes,
    rows: scan.records,
    sha256: scan.sha256,
    sizeBytes: scan.sizeBytes,
  };
}

/** The beginning of a file as text. */
export async function readHead(path: string, bytes: number): Promise<string> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(bytes);
    const { bytesRead } = await file.read(buffer, 0, bytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
