import { ApiError } from '../../platform/index.ts';
import { type ElementType, type InputColumn, MISSING_DATETIME } from '../signature/signature.ts';

/** A tensor's values, row-major. */
export type TensorData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | string[];

/** Writes one raw value to `target[at]`; `row` is for the error. Answers false when the value is an unseen category. */
export type CodeValue = (value: unknown, target: TensorData, at: number, row: number) => boolean;

/** How a column's values are coded: as they come in JSON, and as they come in a text format such as CSV. */
export interface ColumnCoding {
  code: CodeValue;
  codeText: CodeValue;
}

const FLOAT32_MAX = 3.4028234663852886e38;
const DATE_LIMIT_MS = 8.64e15;

/** The coding of a column into an input of the given element type. */
export function codeColumn(
  column: InputColumn,
  elementType: ElementType,
  missingText?: string,
): ColumnCoding {
  switch (column.type) {
    case 'string':
      return codeStrings(column, missingText);
    case 'datetime':
      return codeMoments(column, elementType);
    case 'double':
    case 'long':
    case 'boolean':
      return codeNumbers(column, elementType);
  }
}

function codeNumbers(column: InputColumn, elementType: ElementType): ColumnCoding {
  const { type, nullable } = column;
  const floating = elementType === 'float32' || elementType === 'float64';
  const big = elementType === 'int64';
  const limit =
    elementType === 'float32' ? FLOAT32_MAX : elementType === 'int32' ? 0x7fffffff : Number.MAX_VALUE;
  const expected = EXPECTED[type];

  const write = (value: number, target: TensorData, at: number): true => {
    if (big) (target as BigInt64Array)[at] = BigInt(value);
    else (target as Float64Array)[at] = value;
    return true;
  };
  const missing = (value: unknown, target: TensorData, at: number, row: number): true => {
    if (!nullable || !floating) throw notNullable(column, value, row);
    return write(Number.NaN, target, at);
  };

  const slow = (value: unknown, target: TensorData, at: number, row: number): true => {
    if (value === null || (typeof value === 'number' && Number.isNaN(value)))
      return missing(value, target, at, row);
    let number: number;
    if (typeof value === 'number') number = value;
    else if (typeof value === 'boolean' && type !== 'long') number = value ? 1 : 0;
    else if (typeof value === 'bigint') number = Number(value);
    else throw wrongType(column, value, row, expected);
    if (type === 'boolean' && number !== 0 && number !== 1) throw wrongType(column, value, row, expected);
    if (type === 'long' && !Number.isSafeInteger(number)) throw wrongType(column, value, row, expected);
    if (!Number.isFinite(number) || Math.abs(number) > limit)
      throw outOfRange(column, value, row, elementType);
    return write(number, target, at);
  };

  const codeText: CodeValue = (value, target, at, row) => {
    if (typeof value !== 'string') return slow(value, target, at, row);
    const text = value.trim();
    if (text === '' || MISSING_WORDS.has(text)) return missing(value, target, at, row);
    if (type === 'boolean') {
      const truth = TRUTH.get(text.toLowerCase());
      if (truth === undefined) throw wrongType(column, value, row, expected);
      return write(truth, target, at);
    }
    if (!NUMERAL.test(text)) throw wrongType(column, value, row, expected);
    return slow(Number(text), target, at, row);
  };

  if (type === 'double' && floating) {
    const code: CodeValue = (value, target, at, row) => {
      // NaN fails both comparisons, and so does what is no number.
      if (typeof value === 'number' && value <= limit && value >= -limit) {
        (target as Float32Array)[at] = value;
        return true;
      }
      return slow(value, target, at, row);
    };
    return { code, codeText };
  }
  return { code: slow, codeText };
}

function codeStrings(column: InputColumn, missingText: string | undefined): ColumnCoding {
  const known = column.categories && new Set(column.categories);
  const code: CodeValue = (value, target, at, row) => {
    const texts = target as string[];
    if (typeof value === 'string') {
      texts[at] = value;
      return known === undefined || known.has(value);
    }
    if (value !== null) throw wrongType(column, value, row, EXPECTED.string);
    if (!column.nullable || missingText === undefined) throw notNullable(column, value, row);
    texts[at] = missingText;
    return true;
  };
  const codeText: CodeValue = (value, target, at, row) =>
    code(value === '' && column.nullable ? null : value, target, at, row);
  return { code, codeText };
}

function codeMoments(column: InputColumn, elementType: ElementType): ColumnCoding {
  const big = elementType === 'int64';
  const code: CodeValue = (value, target, at, row) => {
    let time: number;
    if (value === null) {
      if (!column.nullable) throw notNullable(column, value, row);
      if (big) (target as BigInt64Array)[at] = MISSING_DATETIME;
      else (target as Float64Array)[at] = Number.NaN;
      return true;
    }
    if (typeof value === 'string') time = parseMoment(value);
    else if (typeof value === 'number') time = value;
    else if (value instanceof Date) time = value.getTime();
    else if (typeof value === 'bigint') time = Number(value);
    else time = Number.NaN;
    if (!Number.isInteger(time) || Math.abs(time) > DATE_LIMIT_MS)
      throw wrongType(column, value, row, EXPECTED.datetime);
    if (big) (target as BigInt64Array)[at] = BigInt(time);
    else (target as Float64Array)[at] = time;
    return true;
  };
  const codeText: CodeValue = (value, target, at, row) => {
    if (typeof value !== 'string') return code(value, target, at, row);
    const text = value.trim();
    if (text === '') return code(null, target, at, row);
    return code(/^-?\d{6,16}$/.test(text) ? Number(text) : text, target, at, row);
  };
  return { code, codeText };
}

const MOMENT =
  /^(\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}:\d{2})(:\d{2}(?:[.,]\d{1,9})?)?)?\s?([Zz]|[+-]\d{2}(?::?\d{2})?)?$/;

/** Milliseconds since the epoch of an ISO 8601 moment, UTC where it names no offset; NaN when it is none. */
export function parseMoment(text: string): number {
  const match = MOMENT.exec(text);
  if (!match) return Number.NaN;
  const [, year, month, day, clock, seconds, offset] = match;
  // The engine takes 30 February for 1 March: a day that changes by the trip is no day.
  const date = new Date(Date.UTC(Number(year), Number(month) - 1, Number(day)));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return Number.NaN;
  if (clock === undefined)
    return offset === undefined ? Date.parse(`${year}-${month}-${day}T00:00Z`) : Number.NaN;
  // The engine keeps milliseconds, and reads no more digits for certain.
  const fraction = (seconds ?? ':00').replace(',', '.').slice(0, 7);
  return Date.parse(`${year}-${month}-${day}T${clock}${fraction}${normaliseOffset(offset)}`);
}

function normaliseOffset(offset: string | undefined): string {
  if (offset === undefined || offset === 'z') return 'Z';
  if (offset.length === 3) return `${offset}:00`;
  return offset.length === 5 ? `${offset.slice(0, 3)}:${offset.slice(3)}` : offset;
}

const NUMERAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const MISSING_WORDS = new Set(['NaN', 'nan', 'NA', 'N/A', 'null', 'NULL']);
const TRUTH = new Map([
  ['true', 1],
  ['false', 0],
  ['1', 1],
  ['0', 0],
  ['t', 1],
  ['f', 0],
  ['yes', 1],
  ['no', 0],
]);

const EXPECTED: Record<InputColumn['type'], string> = {
  double: 'a number',
  long: 'a whole number',
  boolean: 'true or false',
  string: 'text',
  datetime: 'an ISO 8601 time (UTC unless it names an offset) or whole milliseconds since 1970',
};

function shown(value: unknown): string {
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return String(value);
  if (value instanceof Date) return `the date ${value.getTime()}`;
  let text: string;
  try {
    text = JSON.stringify(value) ?? String(value);
  } catch {
    text = 'a value nested too deeply'; // The parser reads any depth; the serialiser runs out of stack.
  }
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}

const place = (column: InputColumn, row: number): string =>
  `Row ${row}, column ${JSON.stringify(column.name)}`;

const details = (column: InputColumn, row: number, expected: string) => ({
  row,
  column: column.name,
  expected,
});

function wrongType(column: InputColumn, value: unknown, row: number, expected: string): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${place(column, row)}: ${shown(value)} is not ${expected}`,
    details(column, row, expected),
  );
}

function notNullable(column: InputColumn, value: unknown, row: number): ApiError {
  const expected = EXPECTED[column.type];
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${place(column, row)}: ${shown(value)} is missing, and the model was trained without missing values there; expected ${expected}`,
    details(column, row, expected),
  );
}

function outOfRange(column: InputColumn, value: unknown, row: number, elementType: ElementType): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${place(column, row)}: ${shown(value)} is beyond what the model's ${elementType} input can hold`,
    details(column, row, `a finite ${elementType}`),
  );
}
