import type { Signature } from '../../../models/index.ts';
import { type ColumnValues, columnFrom, type ProfileSpec } from '../../../profiles/index.ts';
import type { InputRow } from '../../predict/join-answers.ts';
import type { BookPage, ProfileBook } from './profile-book.ts';
import { createSegmentColumns, type SegmentColumn } from './segment-columns.ts';

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

  function addRun(column: string, value: string | undefined, counted: CountedRows, from: number, to: number) {
    if (value === undefined) return;
    const segment = book.openSegment(counted.page, column, value);
    if (segment === undefined) {
      countLeftOut(column, to - from);
      return;
    }
    segment.answered += to - from;
    segment.isChanged = true;
    const start = counted.offset + from;
    segment.profile?.add(
      to - from,
      counted.views.map((view) => view && columnFrom(view, start)),
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
      let from = 0;
      let value = valueAt(views, offset, given?.[0]);
      for (let row = 1; row < rows; row++) {
        const next = valueAt(views, offset + row, given?.[row]);
        if (next === value) continue;
        addRun(column, value, counted, from, row);
        from = row;
        value = next;
      }
      addRun(column, value, counted, from, rows);
    }
  };
}
