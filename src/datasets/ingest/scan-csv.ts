import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { ApiError } from '../../platform/index.ts';

/** A record longer than this is most likely a quote that was never closed. */
export const MAX_RECORD_BYTES = 8 * 2 ** 20;

export interface CsvScan {
  /** Records below the header. */
  records: number;
  newline: '\n' | '\r\n' | '\r';
  /** Whether some quoted value holds a line break. */
  quotedLineBreaks: boolean;
  longestRecordBytes: number;
  sizeBytes: number;
  sha256: string;
}

export interface CsvScanRequest {
  path: string;
  /** How messages call the file. */
  sourceName: string;
  delimiter: string;
  columnCount: number;
  onProgress?: (bytes: number) => void;
  signal?: AbortSignal;
}

const LF = 10;
const CR = 13;
const QUOTE = 34;
const SPACE = 32;

const FIELD_START = 0;
const PLAIN = 1;
const QUOTED = 2;
const QUOTE_SEEN = 3;
const AFTER_QUOTED = 4;

/**
 * Reads a CSV file once and checks its form: UTF-8, quotes that close, as many fields in every record as the header names,
 * one kind of line break. Throws `INVALID_PARAMETER_VALUE` naming the line. The grammar is RFC 4180 with any delimiter.
 */
export async function scanCsv(request: CsvScanRequest): Promise<CsvScan> {
  return (await walkCsv(request, undefined)).scan;
}

/** The line, counted from 1, on which a record below the header begins; records are counted from 0. */
export async function lineOfCsvRecord(request: CsvScanRequest, record: number): Promise<number> {
  return (await walkCsv(request, record)).line;
}

async function walkCsv(request: CsvScanRequest, wantedRecord: number | undefined) {
  const { delimiter, columnCount, sourceName } = request;
  const delimiterByte = delimiter.charCodeAt(0);
  const hash = createHash('sha256');
  const fail = (line: number, problem: string): never => {
    throw new ApiError('INVALID_PARAMETER_VALUE', `${sourceName}, line ${line}: ${problem}`, { line });
  };

  let state = FIELD_START;
  let line = 1;
  let recordLine = 1;
  let quoteLine = 1;
  let fields = 1;
  let recordBytes = 0;
  let longestRecordBytes = 0;
  let records = -1;
  let sizeBytes = 0;
  let newline: CsvScan['newline'] | undefined;
  let pendingReturn = false;
  let quotedLineBreaks = false;
  let found = 0;
  let incomplete: Uint8Array = new Uint8Array(0);

  const endRecord = (kind: CsvScan['newline']) => {
    if (recordBytes > 0 || columnCount === 1) {
      if (fields !== columnCount) fail(recordLine, describeRagged(fields, columnCount, delimiter));
      if (records === wantedRecord) found = recordLine;
      records++;
      if (recordBytes > longestRecordBytes) longestRecordBytes = recordBytes;
    }
    if (kind !== newline) {
      if (newline !== undefined) {
        fail(
          line,
          `ends with ${nameOf(kind)}, the lines before with ${nameOf(newline)}; use one kind throughout`,
        );
      }
      newline = kind;
    }
    line++;
    recordLine = line;
    fields = 1;
    recordBytes = 0;
    state = FIELD_START;
  };

  const walk = (bytes: Uint8Array) => {
    for (let index = 0; index < bytes.length; index++) {
      const byte = bytes[index]!;
      if (pendingReturn) {
        pendingReturn = false;
        if (byte === LF) {
          endRecord('\r\n');
          continue;
        }
        endRecord('\r');
      }
      if (state === QUOTED) {
        recordBytes++;
        if (byte === QUOTE) state = QUOTE_SEEN;
        else if (byte === LF || byte === CR) {
          quotedLineBreaks = true;
          if (byte === LF) line++;
        }
        if (recordBytes > MAX_RECORD_BYTES) fail(quoteLine, 'a quote that opens here does not close');
        continue;
      }
      if (byte === LF) {
        endRecord('\n');
        continue;
      }
      if (byte === CR) {
        pendingReturn = true;
        continue;
      }
      recordBytes++;
      if (byte === delimiterByte) {
        fields++;
        state = FIELD_START;
      } else if (state === PLAIN) {
        if (recordBytes > MAX_RECORD_BYTES)
          fail(recordLine, `is longer than ${MAX_RECORD_BYTES / 2 ** 20} MB`);
      } else if (state === FIELD_START) {
        if (byte === QUOTE) {
          state = QUOTED;
          quoteLine = line;
        } else if (byte !== SPACE) state = PLAIN;
      } else if (byte === QUOTE && state === QUOTE_SEEN) {
        state = QUOTED;
      } else if (byte === SPACE) {
        state = AFTER_QUOTED;
      } else {
        fail(
          line,
          `after the quote that closes a value comes ${JSON.stringify(String.fromCharCode(byte))} where ${JSON.stringify(delimiter)} or the end of the line belongs; a quote inside a value is written twice`,
        );
      }
    }
  };

  for await (const chunk of createReadStream(request.path, {
    highWaterMark: 2 ** 20,
    signal: request.signal,
  }) as AsyncIterable<Uint8Array>) {
    sizeBytes += chunk.length;
    hash.update(chunk);
    let bytes = incomplete.length > 0 ? Buffer.concat([incomplete, chunk]) : chunk;
    const cut = endOfWholeCharacters(bytes);
    incomplete = bytes.subarray(cut);
    bytes = bytes.subarray(0, cut);
    if (!isUtf8(bytes)) fail(line + lineBreaksBeforeBadText(bytes), NOT_UTF8);
    walk(sizeBytes === chunk.length && hasByteOrderMark(bytes) ? bytes.subarray(3) : bytes);
    request.onProgress?.(sizeBytes);
    if (found > 0) break;
  }
  if (found === 0) {
    if (incomplete.length > 0) fail(line, NOT_UTF8);
    if (pendingReturn) {
      pendingReturn = false;
      endRecord('\r');
    }
    if (state === QUOTED) fail(quoteLine, 'a quote that opens here does not close');
    if (recordBytes > 0) endRecord(newline ?? '\n');
  }
  const scan: CsvScan = {
    records: Math.max(0, records),
    newline: newline ?? '\n',
    quotedLineBreaks,
    longestRecordBytes,
    sizeBytes,
    sha256: hash.digest('hex'),
  };
  return { scan, line: found };
}

export const NOT_UTF8 = 'is not UTF-8 text; save the file as UTF-8';

export const hasByteOrderMark = (bytes: Uint8Array): boolean =>
  bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;

function describeRagged(fields: number, columnCount: number, delimiter: string): string {
  const remedy =
    fields > columnCount
      ? `; a value that holds ${JSON.stringify(delimiter)} must stand in quotes`
      : '; write an empty field for a missing value';
  return `${fields} ${fields === 1 ? 'field' : 'fields'} where the header names ${columnCount}${remedy}`;
}

const nameOf = (newline: CsvScan['newline']): string => ({ '\n': 'LF', '\r\n': 'CRLF', '\r': 'CR' })[newline];

/** Where the bytes can be cut without splitting a character that is not over yet. */
export function endOfWholeCharacters(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back]!;
    if (byte < 0x80) return bytes.length;
    if (byte >= 0xc0) {
      const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;
      return length > back ? bytes.length - back : bytes.length;
    }
  }
  return bytes.length;
}

/** How many line breaks stand before the first line that is not UTF-8. */
export function lineBreaksBeforeBadText(bytes: Uint8Array): number {
  let start = 0;
  let breaks = 0;
  while (start < bytes.length) {
    const end = bytes.indexOf(LF, start);
    const stop = end < 0 ? bytes.length : end + 1;
    if (!isUtf8(bytes.subarray(start, stop))) return breaks;
    breaks++;
    start = stop;
  }
  return breaks;
}
