import { createRandom } from '../platform/index.ts';
import type { NamedColumn } from './build-spec.ts';
import { takeRows } from './column-values.ts';
import { encodeProfile } from './encode-profile.ts';
import { createProfile, type Profile } from './profile.ts';
import type { ProfileSpec } from './profile-spec.ts';

/** Values of a column that are counted apart, the most frequent ones: so many as a model server counts in an hour. */
const MOST_VALUES = 20;
const MOST_COLUMNS = 16;
/** Columns times segments: beyond it a reference would grow to many megabytes. */
const MOST_COUNTED = 20_000;
/** Segments are counted from this many rows, drawn at random when there are more. */
const MOST_ROWS = 50_000;
/** Fewer rows of a segment say nothing that a window's could be compared with. */
const LEAST_ROWS = 200;

/** A column by whose values rows are counted apart; codes outside of `labels` belong to no segment. */
export interface SegmentColumn {
  name: string;
  codes: ArrayLike<number>;
  labels: readonly string[];
}

export interface SegmentedRows {
  columns: readonly NamedColumn[];
  rows: number;
  segmentColumns?: readonly SegmentColumn[];
}

/** What was counted of the rows of one value of one column. */
export interface CountedSegment {
  /** `column=value`, as model servers name it. */
  segment: string;
  /** Its share of the rows that were looked at. */
  share: number;
  profile: string;
}

/** How a segment is named on the wire. */
export const segmentName = (column: string, value: string): string => `${column}=${value}`;

/**
 * Counts rows by the values of columns, the most frequent ones first. The first part tells which values there are and
 * their shares; later parts (scores of held-out rows) add their columns.
 */
export function countSegments(
  spec: ProfileSpec,
  parts: readonly SegmentedRows[],
  seed: number,
): CountedSegment[] {
  const found = new Map<string, { share: number; profile: Profile }>();
  let firstColumn = 0;
  for (const [index, { columns, rows, segmentColumns = [] }] of parts.entries()) {
    const drawn = drawRows(rows, seed);
    for (const column of segmentColumns.slice(0, MOST_COLUMNS)) {
      const byCode = dealRows(column, drawn);
      if (index === 0) {
        const frequent = [...byCode]
          .filter(([, members]) => members.length >= LEAST_ROWS)
          .sort(([a, inA], [b, inB]) => inB.length - inA.length || a - b)
          .slice(0, MOST_VALUES);
        for (const [code, members] of frequent) {
          if ((found.size + 1) * spec.columns.length > MOST_COUNTED) break;
          found.set(segmentName(column.name, column.labels[code]!), {
            share: members.length / drawn.length,
            profile: createProfile(spec),
          });
        }
      }
      for (const [code, members] of byCode) {
        const segment = found.get(segmentName(column.name, column.labels[code]!));
        if (segment === undefined) continue;
        const values = Array.from<NamedColumn['values'] | undefined>({ length: spec.columns.length });
        for (const [i, each] of columns.entries()) values[firstColumn + i] = takeRows(each.values, members);
        segment.profile.add(members.length, values);
      }
    }
    firstColumn += columns.length;
  }
  return [...found].map(([segment, { share, profile }]) => ({
    segment,
    share,
    profile: encodeProfile(profile),
  }));
}

function drawRows(rows: number, seed: number): number[] {
  const drawn: number[] = [];
  const random = createRandom(seed);
  for (let row = 0; row < rows; row++) if (rows <= MOST_ROWS || random() * rows < MOST_ROWS) drawn.push(row);
  return drawn;
}

function dealRows({ codes, labels }: SegmentColumn, rows: readonly number[]): Map<number, number[]> {
  const byCode = new Map<number, number[]>();
  for (const row of rows) {
    const code = codes[row]!;
    if (!(code >= 0 && code < labels.length)) continue;
    const members = byCode.get(code);
    if (members) members.push(row);
    else byCode.set(code, [row]);
  }
  return byCode;
}
