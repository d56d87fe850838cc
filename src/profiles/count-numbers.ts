import type { ColumnCounts } from './column-counts.ts';
import type { ColumnValues } from './column-values.ts';
import type { NumericColumn } from './profile-spec.ts';

/** Cells of the table that finds a bin; with 64 bins at quantiles, most cells then hold one edge at most. */
export const CELLS = 1024;

/**
 * Where the bins of a column begin, by equal cells between the outer edges: a value's cell gives the first bin that it
 * can be in, and the next cell's the last. Few steps remain, whatever the distribution.
 */
interface BinTable {
  edges: Float64Array;
  start: number;
  cellsPerUnit: number;
  firstBin: Uint8Array;
}

const tables = new WeakMap<NumericColumn, BinTable>();

/** One table for all profiles of a spec: a window is the sum of many. */
export function binTableOf(column: NumericColumn): BinTable {
  let table = tables.get(column);
  if (table === undefined) {
    table = createBinTable(column);
    tables.set(column, table);
  }
  return table;
}

function createBinTable({ edges }: NumericColumn): BinTable {
  const start = edges[0] ?? 0;
  const width = (edges.at(-1) ?? 0) - start;
  const cellsPerUnit = width > 0 && Number.isFinite(CELLS / width) ? CELLS / width : 0;
  // One cell below the edges, and one above: the table has no special cases then.
  const firstBin = new Uint8Array(CELLS + 4);
  for (let cell = 1; cell < firstBin.length; cell++) {
    let bin = firstBin[cell - 1]!;
    while (bin < edges.length && cellOf(edges[bin]!, start, cellsPerUnit) < cell) bin++;
    firstBin[cell] = bin;
  }
  return { edges: Float64Array.from(edges), start, cellsPerUnit, firstBin };
}

function cellOf(value: number, start: number, cellsPerUnit: number): number {
  const cell = (value - start) * cellsPerUnit;
  if (cell < 0) return 0;
  return cell > CELLS ? CELLS + 2 : 1 + (cell | 0);
}

/** Sums are kept about the middle edge, so that squares of large numbers do not cancel. */
export function centreOf({ edges, min }: NumericColumn): number {
  return edges[edges.length >> 1] ?? min;
}

export interface NumericCounts extends ColumnCounts {
  kind: 'numeric';
  /** Σ(value − centre) and Σ(value − centre)². */
  sum: number;
  squares: number;
  add(rows: number, values: ColumnValues): void;
}

export function createNumericCounts(column: NumericColumn): NumericCounts {
  const { edges, start, cellsPerUnit, firstBin } = binTableOf(column);
  const { min, max } = column;
  const centre = centreOf(column);
  const bins = new Float64Array(edges.length + 3);
  const over = bins.length - 1;
  const counts: NumericCounts = {
    kind: 'numeric',
    bins,
    missing: 0,
    nonFinite: 0,
    unseen: 0,
    unseenValues: new Float64Array(0),
    count: 0,
    sum: 0,
    squares: 0,
    get mean() {
      return counts.count > 0 ? centre + counts.sum / counts.count : Number.NaN;
    },
    get m2() {
      return counts.count > 0 ? Math.max(0, counts.squares - counts.sum ** 2 / counts.count) : 0;
    },
    add(rows, values) {
      if (!('numbers' in values)) throw new TypeError(`Column ${column.name} is counted by numbers`);
      const { numbers, stride } = values;
      let { sum, squares, missing, nonFinite } = counts;
      let at = values.offset;
      for (let row = 0; row < rows; row++, at += stride) {
        const value = numbers[at]!;
        const distance = value - centre;
        if (distance - distance !== 0) {
          if (Number.isNaN(value)) missing++;
          else nonFinite++;
          continue;
        }
        sum += distance;
        squares += distance * distance;
        if (value < min) bins[0]!++;
        else if (value > max) bins[over]!++;
        else {
          const cell = (value - start) * cellsPerUnit;
          const place = cell < 0 ? 0 : cell > CELLS ? CELLS + 2 : 1 + (cell | 0);
          let bin = firstBin[place]!;
          let end = firstBin[place + 1]!;
          while (bin < end) {
            const middle = (bin + end) >> 1;
            if (value >= edges[middle]!) bin = middle + 1;
            else end = middle;
          }
          bins[bin + 1]!++;
        }
      }
      counts.count += rows - (missing - counts.missing) - (nonFinite - counts.nonFinite);
      counts.sum = sum;
      counts.squares = squares;
      counts.missing = missing;
      counts.nonFinite = nonFinite;
    },
  };
  return counts;
}
