import type { IncomingHttpHeaders } from 'node:http';
import type { DesiredRollout } from '../contract.ts';
import type { InputRow } from './join-answers.ts';

/**
 * Where a key falls in [0, 1): the same place for the whole rollout, so that a growing weight keeps those who are in,
 * and another one in the next rollout. FNV-1a over UTF-16 units, mixed as in MurmurHash3.
 */
export function placeOfKey(salt: string, key: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < salt.length; i++) hash = Math.imul(hash ^ salt.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ 0x1f, 0x01000193);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/** The sides of a request's rows. */
export interface Draw {
  /** By row, or one for all. */
  isInside: boolean[];
  keys: (string | undefined)[] | undefined;
}

/**
 * Draws which rows the candidate of a rollout gets: by the caller's key from the header or the column that the rollout
 * names, at random without one. A header's key holds for all rows of a request.
 *
 * @param names the columns of rows that come as lists.
 */
export function drawSides(
  rollout: DesiredRollout,
  rows: readonly InputRow[],
  headers: IncomingHttpHeaders,
  names: readonly string[],
  random: () => number,
): Draw {
  const { id, weight, sticky_header: header, sticky_column: column } = rollout;
  const key = header === undefined ? undefined : headers[header.toLowerCase()];
  if (typeof key === 'string' && key !== '') {
    return { isInside: [placeOfKey(id, key) < weight], keys: [key] };
  }
  if (column === undefined) return { isInside: [random() < weight], keys: undefined };
  const keys = rows.map((row) => keyOf(row, column, names));
  return {
    isInside: keys.map((one) => (one === undefined ? random() : placeOfKey(id, one)) < weight),
    keys,
  };
}

function keyOf(row: InputRow, column: string, names: readonly string[]): string | undefined {
  let value: unknown;
  if (Array.isArray(row)) value = row[names.indexOf(column)];
  else if (Object.hasOwn(row, column)) value = row[column];
  if (typeof value === 'string') return value;
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : undefined;
}
