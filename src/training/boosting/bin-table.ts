import type { Table, TableColumn } from '../../datasets/index.ts';
import { type CalendarPart, calendarPart, calendarParts } from '../../features/index.ts';

/** Levels of a category that a tree tells apart; two of the 256 bins of a byte are for rarer levels and missing values. */
export const MAX_TREE_LEVELS = 254;

/** Values that the thresholds of a column are taken from at most. */
const THRESHOLD_SAMPLE = 65_536;

/**
 * What the trees split on: a raw column, or one part of a date.
 *
 * Bins of numbers: bin b holds x with `thresholds[b - 1] < x <= thresholds[b]`, all of them float32. Bins of
 * categories: the level's index, then one for levels that are not known. The last bin, `binCount - 1`, is for missing.
 */
export interface TreeFeature {
  /** Index of the raw column in the table. */
  column: number;
  part?: CalendarPart;
  kind: 'numeric' | 'category';
  thresholds: Float32Array;
  binCount: number;
}

/** A table in bytes: feature f of row i is byte `f % 4` of `packed[f >> 2][i]`, lowest byte first. */
export interface BinnedTable {
  rows: number;
  features: TreeFeature[];
  packed: Int32Array[];
}

/**
 * Decides bins by quantiles of a sample of the rows, so that each holds about as many rows. Columns that cannot be split
 * (constant, all missing) give no feature.
 *
 * @param maxBins bins for present values, 2 to 255
 */
export function planFeatures(table: Table, maxBins: number, random: () => number): TreeFeature[] {
  const features: TreeFeature[] = [];
  table.columns.forEach((column, index) => {
    if (column.type === 'category') {
      const levels = Math.min(column.categories.length, MAX_TREE_LEVELS);
      if (varies(column.codes)) {
        features.push({
          column: index,
          kind: 'category',
          thresholds: new Float32Array(0),
          binCount: levels + 2,
        });
      }
      return;
    }
    for (const part of column.type === 'datetime' ? calendarParts : [undefined]) {
      const values = numbersOf(column, part);
      const thresholds = planThresholds(values, maxBins, random);
      if (thresholds.length > 0 || varies(values)) {
        features.push({ column: index, part, kind: 'numeric', thresholds, binCount: thresholds.length + 2 });
      }
    }
  });
  return features;
}

/** Puts every value into its bin; the table may be another than the features were planned on, with the same columns. */
export function binTable(table: Table, features: TreeFeature[]): BinnedTable {
  const packed = Array.from({ length: Math.ceil(features.length / 4) }, () => new Int32Array(table.rows));
  features.forEach((feature, f) => {
    const column = table.columns[feature.column]!;
    const target = packed[f >> 2]!;
    const shift = (f & 3) * 8;
    if (column.type === 'category') packCodes(column.codes, feature.binCount, target, shift);
    else packNumbers(numbersOf(column, feature.part), feature.thresholds, target, shift);
  });
  return { rows: table.rows, features, packed };
}

function numbersOf(column: Exclude<TableColumn, { type: 'category' }>, part?: CalendarPart): Float32Array {
  if (column.type === 'datetime') return calendarPart(part ?? 'weekday', column.values);
  return column.values;
}

function varies(values: ArrayLike<number>): boolean {
  const first = values[0]!;
  for (let i = 1; i < values.length; i++) {
    if (values[i] !== first && !(Number.isNaN(first) && Number.isNaN(values[i]!))) return true;
  }
  return false;
}

/**
 * Thresholds between neighbouring values, such that in float32 `x <= threshold` says the same as the bins do.
 *
 * @returns rising; none when the present values do not vary
 */
export function planThresholds(values: Float32Array, maxBins: number, random: () => number): Float32Array {
  const sample = sampleValues(values, random).sort();
  let distinct = 0;
  for (let i = 0; i < sample.length; i++) if (i === 0 || sample[i] !== sample[i - 1]) distinct++;
  const eachItsOwn = distinct <= maxBins;
  const thresholds: number[] = [];
  let binsLeft = maxBins;
  let binStart = 0;
  for (let i = 1; i < sample.length && binsLeft > 1; i++) {
    if (sample[i] === sample[i - 1]) continue;
    if (!eachItsOwn && (i - binStart) * binsLeft < sample.length - binStart) continue;
    thresholds.push(between(sample[i - 1]!, sample[i]!));
    binStart = i;
    binsLeft--;
  }
  return Float32Array.from(thresholds);
}

/** One present value out of each stretch of rows: as good as random, without a draw for every row. */
function sampleValues(values: Float32Array, random: () => number): Float32Array {
  const step = Math.max(1, values.length / THRESHOLD_SAMPLE);
  const sample = new Float32Array(Math.min(values.length, THRESHOLD_SAMPLE));
  let kept = 0;
  for (let i = 0; i < sample.length; i++) {
    const value = values[step === 1 ? i : Math.min(values.length - 1, Math.floor((i + random()) * step))]!;
    if (!Number.isNaN(value)) sample[kept++] = value;
  }
  return sample.subarray(0, kept);
}

/** A float32 number t with low <= t < high. */
function between(low: number, high: number): number {
  const middle = Math.fround(low + (high - low) / 2);
  return middle >= low && middle < high ? middle : low;
}

function packNumbers(
  values: Float32Array,
  thresholds: Float32Array,
  target: Int32Array,
  shift: number,
): void {
  const missing = thresholds.length + 1;
  // Padded with infinities to 255, so that the search takes eight steps without a test of its ends.
  const padded = new Float64Array(255).fill(Number.POSITIVE_INFINITY);
  padded.set(thresholds);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    let bin = padded[127]! < value ? 128 : 0;
    if (padded[bin + 63]! < value) bin += 64;
    if (padded[bin + 31]! < value) bin += 32;
    if (padded[bin + 15]! < value) bin += 16;
    if (padded[bin + 7]! < value) bin += 8;
    if (padded[bin + 3]! < value) bin += 4;
    if (padded[bin + 1]! < value) bin += 2;
    if (padded[bin]! < value) bin += 1;
    target[i]! |= (Number.isNaN(value) ? missing : bin) << shift;
  }
}

function packCodes(codes: Int32Array, binCount: number, target: Int32Array, shift: number): void {
  const unknown = binCount - 2;
  for (let i = 0; i < codes.length; i++) {
    const code = codes[i]!;
    target[i]! |= (code < 0 ? binCount - 1 : Math.min(code, unknown)) << shift;
  }
}
