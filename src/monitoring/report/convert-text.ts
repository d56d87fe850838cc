import { open, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type DuckdbSession, quoteText, resolvePath, tellFormat, withDuckdb } from '../../datasets/index.ts';
import { ApiError } from '../../platform/index.ts';

/** A file, and the Parquet file that has its rows. */
export interface ReadableTable {
  name: string;
  parquet: string;
  notes: string[];
}

/** What the caller sets of DuckDB's limits. */
export interface WorkLimits {
  threads?: number;
  memoryLimitMb?: number;
  signal?: AbortSignal;
}

/** Small enough that DuckDB's parallel readers take little memory. */
const CSV_BUFFER_BYTES = 2 * 2 ** 20;
/**
 * Under about 360 MB, DuckDB writes Parquet with one thread only. It counts more than it takes: a million rows of 20
 * columns are some 150 MB.
 */
const MEMORY_LIMIT_MB = 400;
/** The file is read a few times and then removed: packing it, or long dictionaries, would take longer than they save. */
const PARQUET = 'FORMAT parquet, COMPRESSION uncompressed, DICTIONARY_SIZE_LIMIT 3000';
/** A group of rows is in memory as a whole while it is written: of wide tables it has fewer. */
const MOST_GROUP_ROWS = 65_536;
const LEAST_GROUP_ROWS = 2048;
const GROUP_VALUES = 40 * MOST_GROUP_ROWS;

/**
 * Makes Parquet files in `folder` of those that are CSV or JSON lines, since they are counted several times. One after the
 * other, since each takes all processors, and in a DuckDB whose memory is free again before anything is counted.
 */
export async function convertTexts(
  { reference, current }: { reference: string; current: string },
  folder: string,
  limits: WorkLimits,
): Promise<{ reference: ReadableTable; current: ReadableTable }> {
  const files = await Promise.all(
    [reference, current].map(async (path, index) => {
      const name = basename(path);
      const format = await tellFormat(path, name);
      const out = join(folder, `${index === 0 ? 'reference' : 'current'}.parquet`);
      return { path, format, table: { name, parquet: format === 'parquet' ? path : out, notes: [] } };
    }),
  );
  const texts = files.filter(({ format }) => format !== 'parquet');
  if (texts.length > 0) {
    await withDuckdb(
      {
        memoryLimitMb: MEMORY_LIMIT_MB,
        ...limits,
        read: texts.map(({ path }) => path),
        write: texts.map(({ table }) => table.parquet),
      },
      async (session) => {
        for (const { path, format, table } of texts) await convert(session, path, format, table);
      },
    );
  }
  return { reference: files[0]!.table, current: files[1]!.table };
}

async function convert(
  session: DuckdbSession,
  path: string,
  format: 'parquet' | 'csv' | 'jsonl',
  { name, parquet, notes }: ReadableTable,
): Promise<void> {
  const from = quoteText(resolvePath(path));
  const groupRows = Math.max(
    LEAST_GROUP_ROWS,
    Math.min(MOST_GROUP_ROWS, Math.floor(GROUP_VALUES / (await guessWidth(path)))),
  );
  const to = `${quoteText(resolvePath(parquet))} (${PARQUET}, ROW_GROUP_SIZE ${groupRows})`;
  const reader = (sample: string) =>
    format === 'csv'
      ? `read_csv(${from}, header = true, null_padding = false, sample_size = ${sample}, buffer_size = ${CSV_BUFFER_BYTES}, max_line_size = ${CSV_BUFFER_BYTES / 4})`
      : `read_json(${from}, format = 'newline_delimited', sample_size = ${sample})`;
  try {
    await session.run(`COPY (SELECT * FROM ${reader('20480')}) TO ${to}`);
  } catch (failed) {
    if (/^Out of Memory/i.test((failed as Error).message)) throw failed;
    // DuckDB writes beside a file that is there already, which the session does not allow.
    await rm(parquet, { force: true });
    // Its first rows do not show the types of all: look at every row, which takes longer.
    notes.push('types were taken from all rows, since the first ones do not show them');
    await session.run(`COPY (SELECT * FROM ${reader('-1')}) TO ${to}`).catch((error: unknown) => {
      const problem = (error as Error).message.split('\n').slice(0, 2).join(' ');
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `${name} cannot be read as ${format === 'csv' ? 'CSV' : 'JSON lines'}: ${problem}`,
        undefined,
        { cause: error },
      );
    });
  }
}

/** About how many columns a file of text has, by its first line; only sizes hang on it. */
async function guessWidth(path: string): Promise<number> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CSV_BUFFER_BYTES / 4));
    const [line = ''] = buffer.toString('latin1', 0, bytesRead).split('\n', 1);
    return 1 + (line.match(/[,;\t|]/g)?.length ?? 0);
  } finally {
    await file.close();
  }
}
