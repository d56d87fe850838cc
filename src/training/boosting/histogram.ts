import type { BinnedTable } from './bin-table.ts';

/**
 * Where each feature's bins lie in a histogram. A bin is two doubles: the sum of the gradients, and one packed whole
 * number that holds the rows and the sum of the hessians (see `HessianPacking`).
 */
export interface HistogramLayout {
  /** Index of each feature's first double. */
  offsets: Int32Array;
  length: number;
}

export function layOutHistogram(table: BinnedTable): HistogramLayout {
  const offsets = new Int32Array(table.features.length);
  let length = 0;
  table.features.forEach((feature, f) => {
    offsets[f] = length;
    length += 2 * feature.binCount;
  });
  return { offsets, length };
}

/**
 * One double carries a row's 1 and its hessian: `1 · unit + round(hessian · scale)`. Sums of up to `rows` of them are
 * whole numbers under 2^53, so they are exact, and one addition does for two. Row counts of 17 bits leave 19 for each
 * hessian, those of 22 bits leave 9; the rounding error of a row is handed to the next one, so that sums stay true.
 */
export interface HessianPacking {
  unit: number;
  scale: number;
}

/** Rows up to which a hessian keeps at least three bits. */
export const MAX_ROWS = 2 ** 25 - 1;

export function planPacking(rows: number, largestHessian: number): HessianPacking {
  const rowBits = Math.ceil(Math.log2(rows + 1));
  const hessianBits = Math.min(20, 53 - 2 * rowBits);
  return { unit: 2 ** (rowBits + hessianBits), scale: (2 ** hessianBits - 1) / largestHessian };
}

/** Replaces each hessian by its packed number. */
export function packHessians(hessians: Float64Array, { unit, scale }: HessianPacking): void {
  let carried = 0.5;
  for (let i = 0; i < hessians.length; i++) {
    const exact = hessians[i]! * scale + carried;
    const whole = Math.floor(exact);
    carried = exact - whole;
    hessians[i] = unit + whole;
  }
}

/**
 * Adds the rows `rows[start..end)` to a histogram that is all zero.
 *
 * Four features share one 32-bit word, so that one load of the word, of the row and of its gradients serves four bins:
 * 1.5 ns for a bin, where a byte for each feature took 4.7 (`benchmarks/train-boosting.ts`, ADR 0003).
 *
 * @param gradients of the rows in that order, from index 0, as are the packed `hessians`
 */
export function fillHistogram(
  histogram: Float64Array,
  layout: HistogramLayout,
  table: BinnedTable,
  rows: Int32Array,
  start: number,
  end: number,
  gradients: Float64Array,
  hessians: Float64Array,
): void {
  const { offsets } = layout;
  for (let group = 0; group < table.packed.length; group++) {
    const words = table.packed[group]!;
    const first = group * 4;
    if (first + 3 < offsets.length) {
      addFour(
        histogram,
        words,
        rows,
        start,
        end,
        gradients,
        hessians,
        offsets[first]!,
        offsets[first + 1]!,
        offsets[first + 2]!,
        offsets[first + 3]!,
      );
      continue;
    }
    for (let f = first; f < offsets.length; f++) {
      addOne(histogram, words, (f - first) * 8, rows, start, end, gradients, hessians, offsets[f]!);
    }
  }
}

function addFour(
  histogram: Float64Array,
  words: Int32Array,
  rows: Int32Array,
  start: number,
  end: number,
  gradients: Float64Array,
  hessians: Float64Array,
  offset0: number,
  offset1: number,
  offset2: number,
  offset3: number,
): void {
  for (let i = start, k = 0; i < end; i++, k++) {
    const word = words[rows[i]!]!;
    const gradient = gradients[k]!;
    const hessian = hessians[k]!;
    const bin0 = ((word << 1) & 510) + offset0;
    const bin1 = ((word >>> 7) & 510) + offset1;
    const bin2 = ((word >>> 15) & 510) + offset2;
    const bin3 = ((word >>> 23) & 510) + offset3;
    histogram[bin0]! += gradient;
    histogram[bin0 + 1]! += hessian;
    histogram[bin1]! += gradient;
    histogram[bin1 + 1]! += hessian;
    histogram[bin2]! += gradient;
    histogram[bin2 + 1]! += hessian;
    histogram[bin3]! += gradient;
    histogram[bin3 + 1]! += hessian;
  }
}

function addOne(
  histogram: Float64Array,
  words: Int32Array,
  shift: number,
  rows: Int32Array,
  start: number,
  end: number,
  gradients: Float64Array,
  hessians: Float64Array,
  offset: number,
): void {
  for (let i = start, k = 0; i < end; i++, k++) {
    const bin = (((words[rows[i]!]! >>> shift) & 255) << 1) + offset;
    histogram[bin]! += gradients[k]!;
    histogram[bin + 1]! += hessians[k]!;
  }
}

/** Turns a parent's histogram into that of its one child, given the other child's. */
export function subtractHistogram(parent: Float64Array, child: Float64Array): void {
  for (let i = 0; i < parent.length; i++) parent[i]! -= child[i]!;
}
