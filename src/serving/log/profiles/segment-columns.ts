import type { Signature } from '../../../models/index.ts';
import type { ColumnValues, ProfileSpec } from '../../../profiles/index.ts';
import type { InputRow } from '../../predict/join-answers.ts';

/** Columns that are profiled by segment; more are left alone. */
export const MOST_SEGMENT_COLUMNS = 8;
/** Values of one column that are profiled apart in one hour: those that come first. */
export const MOST_SEGMENT_VALUES = 20;
/** A longer text is no group of rows. */
const MOST_VALUE_CHARACTERS = 100;
const MOST_NAME_CHARACTERS = 200;

/** Finds which segment of a column a row belongs to. */
export interface SegmentColumn {
  readonly column: string;
  /** Whether the row as it came is needed. */
  readonly needsRow: boolean;
  /**
   * The row's value as text; undefined when it has none.
   *
   * @param views the columns of its batch, in the order of the spec.
   * @param at its place in the batch.
   */
  readonly valueAt: (
    views: readonly (ColumnValues | undefined)[],
    at: number,
    row: InputRow | undefined,
  ) => string | undefined;
}

/**
 * The columns by which a model is profiled in segments: those that its profile counts by categories, and texts and
 * booleans that come with a row and that the model does not know. A column of numbers has no segments.
 */
export function createSegmentColumns(
  columns: readonly string[],
  signature: Signature,
  spec: ProfileSpec,
): SegmentColumn[] {
  const usable = [...new Set(columns)].filter((name) => name.length <= MOST_NAME_CHARACTERS);
  return usable
    .flatMap((column) => {
      const place = spec.columns.findIndex(({ name }) => name === column);
      if (place >= 0)
        return spec.columns[place]?.kind === 'categorical' ? [countedColumn(column, place)] : [];
      const known = signature.columns.findIndex(({ name }) => name === column);
      const type = signature.columns[known]?.type;
      return type === undefined || type === 'string' || type === 'boolean' ? [rawColumn(column, known)] : [];
    })
    .slice(0, MOST_SEGMENT_COLUMNS);
}

function countedColumn(column: string, place: number): SegmentColumn {
  return {
    column,
    needsRow: false,
    valueAt(views, at) {
      const values = views[place];
      if (values === undefined || 'numbers' in values) return undefined;
      const index = values.offset + at * values.stride;
      if ('codes' in values) return values.labels[values.codes[index] as number];
      const text = values.texts[index];
      return text === null || text === undefined || text === values.missing ? undefined : text;
    },
  };
}

function rawColumn(column: string, place: number): SegmentColumn {
  return {
    column,
    needsRow: true,
    valueAt(_views, _at, row) {
      if (row === undefined) return undefined;
      const value = Array.isArray(row) ? row[place] : Object.hasOwn(row, column) ? row[column] : undefined;
      return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
    },
  };
}

const CONTROL = /\p{Cc}/u;

/** Whether a value may name a segment: PostgreSQL takes no U+0000, and half a character becomes another one there. */
export function isSegmentValue(value: string): boolean {
  return value.length <= MOST_VALUE_CHARACTERS && value.isWellFormed() && !CONTROL.test(value);
}
