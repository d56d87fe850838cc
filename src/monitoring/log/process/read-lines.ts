import { isUtf8 } from 'node:buffer';
import { createHash } from 'node:crypto';
import { VARIANTS } from '../../../serving/contract.ts';

/** A logged prediction as the tables hold it. */
export interface PredictionRow {
  line: number;
  /** The id as 128 bits: its own where it is a UUID, else of its hash. */
  key: bigint;
  /** The id where it is no UUID as `key` writes it. */
  id: string | null;
  t: number;
  at: number;
  model: string;
  version: string;
  variant: string;
  ms: number;
  /** JSON. */
  features: string;
  /** JSON. */
  prediction: string;
  probabilities: number[] | null;
  splitKey: string | null;
  cloudEvent: string | null;
  columns: readonly string[];
}

export interface LabelRow {
  line: number;
  key: bigint;
  id: string | null;
  t: number;
  at: number;
  model: string;
  /** JSON. */
  label: string;
}

export interface BadLine {
  line: number;
  problem: string;
  bytes: Uint8Array;
}

/** As deep as requests may nest. */
const MAX_DEPTH = 64;
const MAX_LINE_BYTES = 32 * 2 ** 20;
const MAX_NAME_LENGTH = 512;
/** A date of JavaScript. */
const MAX_TIME_MS = 8.64e15;
const CANONICAL_UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const VARIANT_NAMES: ReadonlySet<unknown> = new Set(VARIANTS);

/** Reads a segment line by line. A line that is no log entry is given to `bad` and costs no other one. */
export function readLines<Row>(
  bytes: Uint8Array,
  read: (value: unknown, line: number) => Row,
  take: (row: Row) => void,
  bad: (line: BadLine) => void,
): void {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isText = isUtf8(buffer);
  let line = 0;
  for (let start = 0; start < buffer.length; line++) {
    const newline = buffer.indexOf(10, start);
    const end = newline < 0 ? buffer.length : newline;
    const part = buffer.subarray(start, end);
    start = end + 1;
    if (part.length === 0 || (part.length === 1 && part[0] === 13)) continue;
    let row: Row;
    try {
      if (part.length > MAX_LINE_BYTES) throw new Error(`longer than ${MAX_LINE_BYTES} bytes`);
      if (!isText && !isUtf8(part)) throw new Error('not UTF-8');
      const text = part.toString('utf8');
      refuseDepth(text);
      row = read(parseExact(text), line);
    } catch (error) {
      bad({ line, problem: (error as Error).message, bytes: part });
      continue;
    }
    take(row);
  }
}

export function readPrediction(value: unknown, line: number): PredictionRow {
  const entry = record(value);
  const { id, f, var: variant, pr, k, ce } = entry;
  const features = record(f, 'f');
  if (!VARIANT_NAMES.has(variant)) throw new Error(`var is ${shown(variant)}`);
  if (
    entry['p'] === undefined ||
    (typeof entry['p'] === 'object' && entry['p'] !== null && !isRaw(entry['p']))
  )
    throw new Error('p is no class or value');
  return {
    line,
    ...readId(id),
    t: time(entry, 't'),
    at: time(entry, 'at'),
    model: name(entry, 'm'),
    version: name(entry, 'v'),
    variant: variant as string,
    ms: typeof entry['ms'] === 'number' && Number.isFinite(entry['ms']) ? entry['ms'] : 0,
    features: sqlJson(features),
    prediction: sqlJson(entry['p']),
    probabilities: Array.isArray(pr) && pr.every((each) => typeof each === 'number') ? pr : null,
    splitKey: k === undefined || k === null ? null : typeof k === 'string' ? k : sqlJson(k),
    cloudEvent: ce === undefined || ce === null ? null : sqlJson(ce),
    columns: Object.keys(features),
  };
}

export function readLabel(value: unknown, line: number): LabelRow {
  const entry = record(value);
  const { y } = entry;
  if (
    !isRaw(y) &&
    typeof y !== 'string' &&
    typeof y !== 'boolean' &&
    !(typeof y === 'number' && Number.isFinite(y))
  )
    throw new Error(`y is ${shown(y)}, no class or value`);
  return {
    line,
    ...readId(entry['id']),
    t: time(entry, 't'),
    at: time(entry, 'at'),
    model: name(entry, 'm'),
    label: sqlJson(y),
  };
}

function readId(id: unknown): { key: bigint; id: string | null } {
  if (typeof id !== 'string' || id === '' || id.length > MAX_NAME_LENGTH)
    throw new Error(`id is ${shown(id)}`);
  if (CANONICAL_UUID.test(id)) return { key: BigInt(`0x${id.replaceAll('-', '')}`), id: null };
  const hash = createHash('sha256').update(id).digest('hex').slice(0, 32);
  return { key: BigInt(`0x${hash}`), id };
}

/** JSON that SQL takes too: JSON.stringify writes half of a surrogate pair as an escape, which yyjson refuses. */
function sqlJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!/\\u[dD][89a-fA-F]/.test(text)) return text;
  return text.replace(
    /(\\\\)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}/g,
    (_, backslash?: string) => backslash ?? '\ufffd',
  );
}

function record(value: unknown, what = 'the line'): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error(`${what} is no object`);
  return value as Record<string, unknown>;
}

function time(entry: Record<string, unknown>, field: string): number {
  const value = entry[field];
  if (!Number.isInteger(value) || Math.abs(value as number) > MAX_TIME_MS)
    throw new Error(`${field} is ${shown(value)}, no milliseconds`);
  return value as number;
}

function name(entry: Record<string, unknown>, field: string): string {
  const value = entry[field];
  if (typeof value !== 'string' || value === '' || value.length > MAX_NAME_LENGTH || value.includes('\0'))
    throw new Error(`${field} is ${shown(value)}`);
  return value;
}

interface RawJson {
  rawJSON(text: string): unknown;
  isRawJSON(value: unknown): boolean;
}
const raw = JSON as unknown as RawJson;
const isRaw = (value: unknown): boolean => raw.isRawJSON(value);
const LONG_INTEGER = /(?<![.\deE+-])-?\d{16,}(?![.\deE])/;

/** JSON with whole numbers beyond 2^53 kept digit by digit: ids are often such numbers. */
function parseExact(text: string): unknown {
  if (!LONG_INTEGER.test(text)) return JSON.parse(text);
  const exact = (_key: string, value: unknown, context?: { source?: string }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? '')
      ? raw.rawJSON(context!.source!)
      : value;
  return JSON.parse(text, exact as (key: string, value: unknown) => unknown);
}

/** JSON.parse takes any depth, but neither JSON.stringify nor SQL does. */
function refuseDepth(text: string): void {
  let depth = 0;
  let inText = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (inText) {
      if (code === 92) i++;
      else if (code === 34) inText = false;
    } else if (code === 34) inText = true;
    else if (code === 123 || code === 91) {
      if (++depth > MAX_DEPTH) throw new Error(`nested deeper than ${MAX_DEPTH}`);
    } else if (code === 125 || code === 93) depth--;
  }
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 80);
}
