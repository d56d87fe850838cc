import type { Signature } from '../../../models/index.ts';
import { type ColumnValues, columnFrom, type ProfileSpec, takeRows } from '../../../profiles/index.ts';
import type { InputRow } from '../../predict/join-answers.ts';
import type { BookPage, ProfileBook } from './profile-book.ts';
import { createSegmentColumns, type SegmentColumn } from './segment-columns.ts';

/** Copying the rows of a value together pays from about so many rows. */
const LEAST_GROUPED = 32;

/** Rows of one page that lie one after the other in a batch. */
export interface CountedRows {
  page: BookPage;
  /** The columns of the batch, in the order of the spec. */
  views: readonly (ColumnValues | undefined)[];
  /** The first row's place in the batch. */
  offset: number;
  rows: number;
  /** The rows as they came; asked for only where a segment's column is not in the batch. */
  given: () => readonly InputRow[];
}

/** Counts rows once more on the pages of the segments that they belong to. */
export function createSegmentCounter(options: {
  signature: Signature;
  spec: ProfileSpec;
  book: ProfileBook;
  /** The columns; another list is told by another array. */
  segments: () => readonly string[] | undefined;
  /** Told of rows whose value is counted in no segment, because there are too many. */
  countLeftOut: (column: string, rows: number) => void;
}) {
  const { signature, spec, book, countLeftOut } = options;
  let names: readonly string[] | undefined;
  let columns: SegmentColumn[] = [];

  /** `rows` are those of one value, by their places among the counted ones. */
  function addRows(column: string, value: string, counted: CountedRows, rows: readonly number[]): void {
    const segment = book.openSegment(counted.page, column, value);
    if (segment === undefined) {
      countLeftOut(column, rows.length);
      return;
    }
    segment.answered += rows.length;
    segment.isChanged = true;
    const { views, offset } = counted;
    const [first = 0] = rows;
    const isRun = rows.at(-1) === first + rows.length - 1;
    segment.profile?.add(
      rows.length,
      isRun
        ? views.map((view) => view && columnFrom(view, offset + first))
        : views.map((view) => view && takeRows(columnFrom(view, offset), rows)),
    );
  }

  return function countSegments(counted: CountedRows): void {
    const wanted = options.segments();
    if (wanted !== names) {
      names = wanted;
      columns = createSegmentColumns(wanted ?? [], signature, spec);
    }
    const { views, offset, rows, page } = counted;
    // A shadow's rows were counted with the answers that it shadows.
    if (columns.length === 0 || page.key.variant === 'shadow') return;
    const given = columns.some(({ needsRow }) => needsRow) ? counted.given() : undefined;
    for (const { column, valueAt } of columns) {
      const segmentOf = (row: number) => valueAt(views, offset + row, given?.[row]);
      const groups = rows < LEAST_GROUPED ? runsOf(segmentOf, rows) : groupsOf(segmentOf, rows);
      for (const [value, places] of groups) addRows(column, value, counted, places);
    }
  };
}

type SegmentOf = (row: number) => string | undefined;

/** Rows of one value that lie one after the other. */
function runsOf(segmentOf: SegmentOf, rows: number): [string, number[]][] {
  const runs: [string, number[]][] = [];
  let last: [string, number[]] | undefined;
  for (let row = 0; row < rows; row++) {
    const value = segmentOf(row);
    if (value === undefined) last = undefined;
    else if (last !== undefined && last[0] === value) last[1].push(row);
    else {
      last = [value, [row]];
      runs.push(last);
    }
  }
  return runs;
}

/** All rows of each value. */
function groupsOf(segmentOf: SegmentOf, rows: number): Map<string, number[]> {
  const groups = new Map<string, number[]>();
  for (let row = 0; row < rows; row++) {
    const value = segmentOf(row);
    if (value === undefined) continue;
    const known = groups.get(value);
    if (known === undefined) groups.set(value, [row]);
    else known.push(row);
  }
  return groups;
}
