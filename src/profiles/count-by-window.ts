import type { ColumnCounts } from './column-counts.ts';
import { binTableOf, CELLS } from './count-numbers.ts';
import type { NumericColumn } from './profile-spec.ts';

/** What is known of all numbers of a column, in whichever window. */
export interface NumberFacts {
  missing: number;
  nonFinite: number;
  /** Finite ones. */
  count: number;
  /** Infinity and -Infinity without a finite number. */
  min: number;
  max: number;
  /** NaN without a finite number. */
  mean: number;
  /** Of all of them: divided by their count. */
  sd: number;
}

/** Counts one column of numbers window by window, and what is true of all of them, in one pass. */
export interface WindowedNumbers {
  /** NaN is missing; `slots` has the window of each row, -1 for rows of none. */
  add(rows: number, numbers: Float64Array, slots: Int32Array): void;
  facts(): NumberFacts;
  /** The counts of a window; moments are not kept by window. */
  countsOf(slot: number): ColumnCounts;
}

export function createWindowedNumbers(column: NumericColumn): WindowedNumbers {
  const { edges, start, cellsPerUnit, firstBin } = binTableOf(column);
  const { min, max } = column;
  // Sums are kept about a usual value, so that squares of large numbers do not cancel.
  let centre = edges[edges.length >> 1] ?? Number.NaN;
  const size = edges.length + 3;
  const over = size - 1;
  // A window's bins, then its missing and its infinite ones.
  const stride = size + 2;
  // The first place is of the rows that are in no window.
  let counts = new Float64Array(stride * 64);
  const reserve = (slots: number) => {
    if (counts.length >= (slots + 1) * stride) return;
    const larger = new Float64Array(Math.max(counts.length * 2, (slots + 1) * stride));
    larger.set(counts);
    counts = larger;
  };
  let missing = 0;
  let nonFinite = 0;
  let count = 0;
  let sum = 0;
  let squares = 0;
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;

  return {
    add(rows, numbers, slots) {
      let highest = -1;
      for (let row = 0; row < rows; row++) if (slots[row]! > highest) highest = slots[row]!;
      reserve(highest + 1);
      const bins = counts;
      if (Number.isNaN(centre)) {
        const first = numbers.findIndex((value, row) => row < rows && Number.isFinite(value));
        if (first >= 0) centre = numbers[first]!;
      }
      const middleValue = centre;
      let sumHere = 0;
      let squaresHere = 0;
      let leastHere = least;
      let mostHere = most;
      let finite = 0;
      for (let row = 0; row < rows; row++) {
        const value = numbers[row]!;
        const window = (slots[row]! + 1) * stride;
        if (value - value !== 0) {
          if (Number.isNaN(value)) {
            missing++;
            bins[window + size]!++;
          } else {
            nonFinite++;
            bins[window + size + 1]!++;
          }
          continue;
        }
        finite++;
        const distance = value - middleValue;
        sumHere += distance;
        squaresHere += distance * distance;
        if (value < leastHere) leastHere = value;
        if (value > mostHere) mostHere = value;
        if (value < min) bins[window]!++;
        else if (value > max) bins[window + over]!++;
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
          bins[window + bin + 1]!++;
        }
      }
      count += finite;
      sum += sumHere;
      squares += squaresHere;
      least = leastHere;
      most = mostHere;
    },
    facts: () => ({
      missing,
      nonFinite,
      count,
      min: least,
      max: most,
      mean: count > 0 ? centre + sum / count : Number.NaN,
      sd: count > 0 ? Math.sqrt(Math.max(0, squares / count - (sum / count) ** 2)) : Number.NaN,
    }),
    countsOf(slot) {
      reserve(slot + 1);
      const at = (slot + 1) * stride;
      const bins = counts.slice(at, at + size);
      return {
        bins,
        missing: counts[at + size]!,
        nonFinite: counts[at + size + 1]!,
        unseen: 0,
        unseenValues: new Float64Array(0),
        count: bins.reduce((total, each) => total + each, 0),
        mean: Number.NaN,
        m2: 0,
      };
    },
  };
}
