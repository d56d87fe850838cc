import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { ApiError } from '../../platform/index.ts';
import { resolvePath } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText } from '../duckdb/quote-sql.ts';
import { inferTextColumns, shorten } from './infer-text-columns.ts';
import { convertColumn } from './read-parquet-source.ts';
import {
  endOfWholeCharacters,
  hasByteOrderMark,
  lineBreaksBeforeBadText,
  MAX_RECORD_BYTES,
  NOT_UTF8,
} from './scan-csv.ts';
import { checkColumnNames } from './sniff-csv.ts';
import type { SourceColumn, SourceRequest, SourceTable } from './source-table.ts';

/**
 * Checks a file of JSON objects, one a line, and infers its types over all rows. Texts that are all ISO dates become datetimes.
 * Throws `INVALID_PARAMETER_VALUE` with the line of the first that is no object, or whose value is of another type than most.
 */
export async function readJsonLinesSource(request: SourceRequest): Promise<SourceTable> {
  const { session, path, sourceName, text } = request;
  const scan = await scanLines(request);
  const file = quoteText(resolvePath(path));
  const options = `format = 'newline_delimited', maximum_object_size = ${MAX_RECORD_BYTES}`;
  const described = await session
    .rows(`DESCRIBE SELECT * FROM read_json(${file}, ${options}, sample_size = -1)`)
    .catch((error: unknown) => explainBadLine(request, error));
  const names = described.map((row) => String(row['column_name']));
  if (names.length === 1 && names[0] === 'json') await findBadLine(request);
  checkColumnNames(await writtenNames(request, names), (problem) => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}: ${problem}`);
  });

  const notes: string[] = [];
  const kept: { name: string; type: string }[] = [];
  for (const row of described) {
    const name = String(row['column_name']);
    let type = String(row['column_type']);
    if (type === 'JSON') type = await settleMixed(request, name);
    if (convertColumn(name, type, text.includes(name))) kept.push({ name, type });
    else notes.push(`column ${JSON.stringify(name)} is left out: it holds lists or objects`);
  }
  const isText = (type: string) => !/^(BIGINT|DOUBLE|BOOLEAN|HUGEINT|UBIGINT)$/.test(type);
  const asRead = kept.map(
    ({ name, type }) =>
      `${quoteText(name)}: ${quoteText(isText(type) || text.includes(name) ? 'VARCHAR' : type)}`,
  );
  const relation = `read_json(${file}, ${options}, columns = {${asRead.join(', ')}})`;
  const texts = await inferTextColumns({
    session,
    relation,
    sourceName,
    decimalComma: false,
    lineOfRow: (row) => lineOfRow(request, row),
    columns: kept
      .filter(({ type }) => isText(type))
      .map(({ name }) => ({
        name,
        sql: quoteIdentifier(name),
        candidates: text.includes(name) ? [] : (['datetime'] as const),
      })),
  }).catch((error: unknown) => explainBadLine(request, error));
  const columns = kept.map(
    ({ name, type }): SourceColumn =>
      texts.columns.find((column) => column.name === name) ??
      convertColumn(name, text.includes(name) ? 'VARCHAR' : type, false)!,
  );
  return {
    relation,
    columns,
    notes: [...notes, ...texts.notes],
    rows: scan.lines,
    ...scan.file,
    findBadLine: () => findBadLine(request),
  };
}

/** DuckDB's reader follows nesting on its stack, and ends the process where that is used up. */
const MOST_NESTED = 100;

/** Counts a line's open brackets outside of its texts; calls `tooDeep` beyond the limit. */
function createDepthGuard(tooDeep: () => void) {
  let open = 0;
  let inText = false;
  let escaped = false;
  return {
    take(byte: number) {
      if (inText) {
        if (escaped) escaped = false;
        else if (byte === 0x5c) escaped = true;
        else if (byte === 0x22) inText = false;
      } else if (byte === 0x22) inText = true;
      else if (byte === 0x7b || byte === 0x5b) {
        if (++open > MOST_NESTED) tooDeep();
      } else if (byte === 0x7d || byte === 0x5d) open--;
    },
    reset() {
      open = 0;
      inText = escaped = false;
    },
  };
}

async function scanLines({ path, sourceName, signal, onProgress }: SourceRequest) {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  let lines = 0;
  let lineBytes = 0;
  let blank = true;
  let physical = 1;
  const depth = createDepthGuard(() => fail(physical, `nests deeper than ${MOST_NESTED} levels`));
  let incomplete: Uint8Array = new Uint8Array(0);
  const fail = (line: number, problem: string): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}, line ${line}: ${problem}`, { line });
  };
  for await (const chunk of createReadStream(path, {
    highWaterMark: 2 ** 20,
    signal,
  }) as AsyncIterable<Uint8Array>) {
    if (sizeBytes === 0 && hasByteOrderMark(chunk)) {
      fail(1, 'begins with a byte order mark, which JSON does not allow; save the file as UTF-8 without it');
    }
    sizeBytes += chunk.length;
    hash.update(chunk);
    const bytes = incomplete.length > 0 ? Buffer.concat([incomplete, chunk]) : chunk;
    const cut = endOfWholeCharacters(bytes);
    const whole = bytes.subarray(0, cut);
    if (!isUtf8(whole)) fail(physical + lineBreaksBeforeBadText(whole), NOT_UTF8);
    incomplete = bytes.subarray(cut);
    for (let index = 0; index < whole.length; index++) {
      const byte = whole[index]!;
      if (byte === 10) {
        if (!blank) lines++;
        physical++;
        lineBytes = 0;
        blank = true;
        depth.reset();
      } else {
        depth.take(byte);
        if (byte !== 32 && byte !== 13 && byte !== 9) blank = false;
        if (++lineBytes > MAX_RECORD_BYTES) fail(physical, `is longer than ${MAX_RECORD_BYTES / 2 ** 20} MB`);
      }
    }
    onProgress?.(sizeBytes);
  }
  if (incomplete.length > 0) fail(physical, NOT_UTF8);
  if (!blank) lines++;
  if (lines === 0) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${sourceName}: the file is empty; give one JSON object per line`,
    );
  }
  return { lines, file: { sha256: hash.digest('hex'), sizeBytes } };
}

async function* parseLines(path: string): AsyncGenerator<{ line: number; row: number; text: string }> {
  const reader = createInterface({ input: createReadStream(path), crlfDelay: Number.POSITIVE_INFINITY });
  let line = 0;
  let row = 0;
  for await (const text of reader) {
    line++;
    if (text.trim() === '') continue;
    yield { line, row, text };
    row++;
  }
}

async function lineOfRow({ path }: SourceRequest, row: number): Promise<number> {
  for await (const parsed of parseLines(path)) if (parsed.row === row) return parsed.line;
  return 0;
}

/**
 * The names as the file has them: DuckDB renames an empty name to C0, and one that differs from another only in case to name_1.
 */
async function writtenNames({ session, path }: SourceRequest, names: string[]): Promise<string[]> {
  const lower = new Set(names.map((name) => name.toLowerCase()));
  const renamed = names.some((name) => {
    const base = /^(.*)_\d+$/.exec(name.toLowerCase())?.[1];
    return /^C\d+$/.test(name) || (base !== undefined && lower.has(base));
  });
  if (!renamed) return names;
  const rows = await session.rows(
    `SELECT name FROM (
       SELECT unnest(json_keys(json)) AS name, generate_subscripts(json_keys(json), 1) AS position
       FROM read_ndjson_objects(${quoteText(resolvePath(path))}, maximum_object_size = ${MAX_RECORD_BYTES})
     ) GROUP BY name ORDER BY min(position), name`,
  );
  return rows.map((row) => String(row['name']));
}

async function findBadLine({ path, sourceName }: SourceRequest): Promise<void> {
  for await (const { line, text } of parseLines(path)) {
    const fail = (problem: string): never => {
      throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}, line ${line}: ${problem}`, { line });
    };
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      fail(`is not JSON (${(error as Error).message})`);
    }
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      fail(`${shorten(text)} is not an object; give one object of column names and values per line`);
    }
    const repeated = repeatedKey(text);
    if (repeated !== undefined)
      fail(`the key ${JSON.stringify(repeated)} stands twice; give one value per column`);
  }
}

/** The first key that an object, given as JSON, has twice; those of objects inside of it do not count. */
function repeatedKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const { 0: token, 1: colon } of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    if (token === '{' || token === '[') depth++;
    else if (token === '}' || token === ']') depth--;
    else if (depth === 1 && colon !== undefined) {
      const key = JSON.parse(token.slice(0, -colon.length)) as string;
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

async function explainBadLine(request: SourceRequest, error: unknown): Promise<never> {
  if (!(error instanceof ApiError)) await findBadLine(request);
  throw error;
}

const kindOf = (value: unknown): string =>
  Array.isArray(value) ? 'list' : value === null ? 'null' : typeof value;

/** The type of a column whose values are of several kinds: that of nearly all, else an error with the line of the first that differs. */
async function settleMixed(request: SourceRequest, name: string): Promise<string> {
  const counts = new Map<string, { count: number; line: number; value: unknown }>();
  for await (const { line, text } of parseLines(request.path)) {
    const row = JSON.parse(text) as Record<string, unknown>;
    if (!Object.hasOwn(row, name)) continue;
    const kind = kindOf(row[name]);
    if (kind === 'null') continue;
    const seen = counts.get(kind);
    if (seen) seen.count++;
    else counts.set(kind, { count: 1, line, value: row[name] });
  }
  if (counts.size === 0) return 'VARCHAR';
  const nested = counts.has('list') || counts.has('object');
  if (nested && !counts.has('number') && !counts.has('string') && !counts.has('boolean')) return 'STRUCT';
  if (request.text.includes(name) && !nested) return 'VARCHAR';
  if (counts.size === 1) {
    // DuckDB saw two kinds where each line has one: a line has the key twice.
    await findBadLine(request);
    return 'VARCHAR';
  }
  const [, [kind, other]] = [...counts].sort((a, b) => b[1].count - a[1].count) as [
    unknown,
    [string, { line: number; value: unknown }],
  ];
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${request.sourceName}, line ${other.line}, column ${JSON.stringify(name)}: ${shorten(JSON.stringify(other.value))} is a ${kind}, ` +
      `most values of the column are not; give one type throughout`,
    { line: other.line, column: name },
  );
}
