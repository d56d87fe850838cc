import {
  DuckDBArrayValue,
  DuckDBDecimalValue,
  DuckDBListValue,
  DuckDBMapValue,
  DuckDBStructValue,
  DuckDBTimestampTZValue,
  DuckDBTimestampValue,
  type DuckDBValue,
} from '@duckdb/node-api';

/** A double holds every number of so many digits. */
const EXACT_DIGITS = 15;

/** A value of DuckDB as JSON has it; `addSize` is told about how long it is. */
export function jsonValue(value: DuckDBValue, addSize: (characters: number) => void): unknown {
  const inner = (each: DuckDBValue): unknown => jsonValue(each, addSize);
  addSize(8);
  if (value === null || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : String(value);
  }
  if (value instanceof DuckDBDecimalValue) {
    return value.width <= EXACT_DIGITS ? Number(value.toString()) : value.toString();
  }
  if (value instanceof DuckDBTimestampValue || value instanceof DuckDBTimestampTZValue) {
    return isoTime(value);
  }
  if (value instanceof DuckDBListValue || value instanceof DuckDBArrayValue) return value.items.map(inner);
  if (value instanceof DuckDBStructValue) {
    return Object.fromEntries(Object.entries(value.entries).map(([key, each]) => [key, inner(each)]));
  }
  if (value instanceof DuckDBMapValue) {
    return value.entries.map((entry) => ({ key: inner(entry.key), value: inner(entry.value) }));
  }
  const text = String(value);
  addSize(text.length);
  return text;
}

function isoTime(value: DuckDBTimestampValue | DuckDBTimestampTZValue): string {
  const ms = Number(value.micros / 1000n);
  const isPlain = value.micros % 1000n === 0n && Math.abs(ms) <= 8.64e15;
  return isPlain ? new Date(ms).toISOString() : value.toString();
}
