import { z } from 'zod';
import { createRandom } from '../platform/index.ts';
import { type NamedColumn, type SpecOptions, specOf } from './build-spec.ts';
import { takeRows } from './column-values.ts';
import { type CountedSegment, countSegments, type SegmentColumn } from './count-segments.ts';
import { encodeProfile } from './encode-profile.ts';
import { createProfile } from './profile.ts';
import { type ProfileSpec, parseJson, profileSpecSchema } from './profile-spec.ts';

const DAY_MS = 86_400_000;
/** Rows without a time are dealt into this many windows, but no window gets fewer than `MIN_CHUNK_ROWS`. */
const MAX_CHUNKS = 40;
const MIN_CHUNK_ROWS = 50;
/** A reference of years is kept by blocks of days, so that it stays a file of a few megabytes. */
const MAX_WINDOWS = 400;

const referenceSchema = z.strictObject({
  spec: profileSpecSchema,
  windows: z.array(
    z.strictObject({
      from: z.int().describe('ms since the epoch; 0 when the rows have no time'),
      to: z.int().describe('half-open; 0 when the rows have no time'),
      rows: z.int().min(0),
      profile: z.string().describe('As encodeProfile writes it'),
    }),
  ),
  segments: z
    .array(
      z.strictObject({
        segment: z.string().describe('column=value'),
        share: z.number().describe('Of the rows'),
        profile: z.string(),
      }),
    )
    .default([])
    .describe('The rows of frequent values of columns, counted apart'),
});

/**
 * What a model was trained on, counted window by window: day by day when the rows have a time, so that it can be seen
 * how much its own days differ.
 */
export interface Reference {
  spec: ProfileSpec;
  windows: { from: number; to: number; rows: number; profile: string }[];
  segments?: CountedSegment[];
}

/** Rows that share columns; several parts (training rows, scores of held-out rows) make one reference. */
export interface ReferencePart {
  columns: readonly NamedColumn[];
  rows: number;
  /** Event time of each row in ms; NaN where it is not known. */
  times?: ArrayLike<number>;
  /** Columns by whose values the rows are counted apart too. */
  segmentColumns?: readonly SegmentColumn[];
}

export function encodeReference(reference: Reference): string {
  return JSON.stringify(reference);
}

/** Reads what `encodeReference` wrote; INVALID_PARAMETER_VALUE names the place that is wrong. */
export function decodeReference(text: string): Reference {
  return parseJson(text, referenceSchema, 'reference');
}

/** Chooses the bins from each part's rows and counts them by day, or in up to 40 random chunks without times. */
export function buildReference(parts: readonly ReferencePart[], options: SpecOptions = {}): Reference {
  const spec: ProfileSpec = {
    columns: parts.flatMap(({ columns, rows }) => specOf(columns, rows, options).columns),
  };
  const windows: Reference['windows'] = [];
  let firstColumn = 0;
  for (const { columns, rows, times } of parts) {
    for (const window of times ? splitByDay(times, rows) : splitAtRandom(rows, options.seed ?? 1)) {
      const profile = createProfile(spec);
      const values = Array.from<NamedColumn['values'] | undefined>({ length: spec.columns.length });
      for (const [i, column] of columns.entries()) {
        values[firstColumn + i] = takeRows(column.values, window.rows);
      }
      profile.add(window.rows.length, values);
      windows.push({
        from: window.from,
        to: window.to,
        rows: profile.rows,
        profile: encodeProfile(profile),
      });
    }
    firstColumn += columns.length;
  }
  return { spec, windows, segments: countSegments(spec, parts, options.seed ?? 1) };
}

interface RowWindow {
  from: number;
  to: number;
  rows: number[];
}

/** Rows by UTC day; rows without a time are left out, because no day is theirs. */
function splitByDay(times: ArrayLike<number>, rows: number): RowWindow[] {
  const days = new Map<number, number[]>();
  for (let row = 0; row < rows; row++) {
    const day = Math.floor(times[row]! / DAY_MS);
    if (Number.isNaN(day)) continue;
    const members = days.get(day);
    if (members) members.push(row);
    else days.set(day, [row]);
  }
  const sorted = [...days].sort(([a], [b]) => a - b);
  const first = sorted[0]?.[0] ?? 0;
  const blockDays = Math.ceil(((sorted.at(-1)?.[0] ?? 0) - first + 1) / MAX_WINDOWS);
  const windows = new Map<number, RowWindow>();
  for (const [day, members] of sorted) {
    const block = Math.floor((day - first) / blockDays);
    const from = (first + block * blockDays) * DAY_MS;
    const window = windows.get(block) ?? { from, to: from + blockDays * DAY_MS, rows: [] };
    for (const row of members) window.rows.push(row);
    windows.set(block, window);
  }
  return [...windows.values()];
}

function splitAtRandom(rows: number, seed: number): RowWindow[] {
  const random = createRandom(seed);
  const order = Uint32Array.from({ length: rows }, (_, i) => i);
  for (let i = rows - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const chunks = Math.max(1, Math.min(MAX_CHUNKS, Math.floor(rows / MIN_CHUNK_ROWS)));
  return Array.from({ length: chunks }, (_, chunk) => ({
    from: 0,
    to: 0,
    rows: Array.from(
      order.subarray(Math.floor((chunk * rows) / chunks), Math.floor(((chunk + 1) * rows) / chunks)),
    ),
  }));
}
