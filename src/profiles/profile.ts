import type { ColumnCounts } from './column-counts.ts';
import type { ColumnValues } from './column-values.ts';
import { createCategoricalCounts } from './count-categories.ts';
import { createNumericCounts } from './count-numbers.ts';
import { fingerprintOf, type ProfileSpec } from './profile-spec.ts';

/** Counts of rows; those of any two sets of rows add up to those of both. */
export interface Profile {
  readonly spec: ProfileSpec;
  readonly rows: number;
  readonly columns: readonly ColumnCounts[];
  /** Counts rows; `values` in the spec's order, `undefined` for a column that is not known of these rows. */
  add(rows: number, values: readonly (ColumnValues | undefined)[]): void;
  /** Adds what another profile of an equal spec counted. */
  merge(other: Profile): void;
  isEmpty(): boolean;
}

export type MutableCounts =
  | ReturnType<typeof createNumericCounts>
  | ReturnType<typeof createCategoricalCounts>;

export function createProfile(spec: ProfileSpec): Profile {
  return createCounted(spec).profile;
}

/** A profile with its inner sums, for reading an encoded one into it. */
export function createCounted(spec: ProfileSpec): {
  profile: Profile;
  columns: MutableCounts[];
  setRows: (rows: number) => void;
} {
  const columns: MutableCounts[] = spec.columns.map((column) =>
    column.kind === 'numeric' ? createNumericCounts(column) : createCategoricalCounts(column),
  );
  let rows = 0;
  const profile: Profile = {
    spec,
    columns,
    get rows() {
      return rows;
    },
    add(added, values) {
      for (let i = 0; i < columns.length; i++) {
        const column = values[i];
        if (column !== undefined) columns[i]!.add(added, column);
      }
      rows += added;
    },
    merge(other) {
      if (other.spec !== spec && fingerprintOf(other.spec) !== fingerprintOf(spec)) {
        throw new TypeError('Profiles of different specs cannot be merged');
      }
      for (const [i, column] of columns.entries()) mergeCounts(column, other.columns[i] as MutableCounts);
      rows += other.rows;
    },
    isEmpty: () => rows === 0,
  };
  return { profile, columns, setRows: (value) => (rows = value) };
}

function mergeCounts(into: MutableCounts, from: MutableCounts): void {
  addTo(into.bins, from.bins);
  addTo(into.unseenValues, from.unseenValues);
  into.missing += from.missing;
  into.nonFinite += from.nonFinite;
  into.unseen += from.unseen;
  into.count += from.count;
  if (into.kind === 'numeric' && from.kind === 'numeric') {
    into.sum += from.sum;
    into.squares += from.squares;
  }
}

function addTo(into: Float64Array, from: Float64Array): void {
  for (let i = 0; i < into.length; i++) into[i]! += from[i]!;
}
