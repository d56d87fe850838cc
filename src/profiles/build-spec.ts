import { createRandom } from '../platform/index.ts';
import type { CodeValues, ColumnValues, NumberValues, TextValues } from './column-values.ts';
import { MAX_BINS, MAX_CATEGORIES, type ProfileColumn, type ProfileSpec } from './profile-spec.ts';

export interface SpecOptions {
  /** Quantiles come from this many rows, drawn at random when there are more; ranges and dictionaries from all. */
  sampleRows?: number;
  seed?: number;
}

export interface NamedColumn {
  name: string;
  values: ColumnValues;
}

/** Chooses bins from reference rows: at the quantiles for numbers, a dictionary of the most frequent for texts. */
export function specOf(
  columns: readonly NamedColumn[],
  rows: number,
  options: SpecOptions = {},
): ProfileSpec {
  return {
    columns: columns.map(({ name, values }) =>
      'numbers' in values
        ? numericColumn(name, values, rows, options)
        : categoricalColumn(name, values, rows),
    ),
  };
}

function numericColumn(
  name: string,
  values: NumberValues,
  rows: number,
  { sampleRows = 100_000, seed = 1 }: SpecOptions,
): ProfileColumn {
  const { numbers, stride, offset } = values;
  let min = Number.POSITIVE_INFINITY;
  let max = Number.NEGATIVE_INFINITY;
  for (let row = 0; row < rows; row++) {
    const value = numbers[offset + row * stride]!;
    if (!Number.isFinite(value)) continue;
    if (value < min) min = value;
    if (value > max) max = value;
  }
  if (min > max) return { name, kind: 'numeric', min: 0, max: 0, edges: [] };
  // The same number may come as a double here and as a float there; neither is out of range.
  [min, max] = [Math.min(min, finiteFloat(min)), Math.max(max, finiteFloat(max))];
  const sorted = sortedSample(values, rows, sampleRows, seed);
  return { name, kind: 'numeric', min, max, edges: quantileEdges(sorted, MAX_BINS) };
}

/** A number as float32 has it; itself when it is too large for that. */
export function finiteFloat(value: number): number {
  const float = Math.fround(value);
  return Number.isFinite(float) ? float : value;
}

function sortedSample(
  { numbers, stride, offset }: NumberValues,
  rows: number,
  sampleRows: number,
  seed: number,
): Float64Array {
  const random = createRandom(seed);
  const size = Math.min(rows, sampleRows);
  const sample = new Float64Array(size);
  let kept = 0;
  for (let i = 0; i < size; i++) {
    const row = size === rows ? i : Math.floor(random() * rows);
    const value = numbers[offset + row * stride]!;
    if (Number.isFinite(value)) sample[kept++] = value;
  }
  return sample.subarray(0, kept).sort();
}

/**
 * Inner edges at the quantiles, each halfway between the value at the quantile and the next smaller one, so that
 * neither rounding to float32 nor a tie moves a value across. With few distinct values each has a bin of its own.
 */
export function quantileEdges(sorted: Float64Array, bins: number): number[] {
  const distinct: number[] = [];
  for (let i = 0; i < sorted.length && distinct.length <= bins; i++) {
    if (i === 0 || sorted[i] !== sorted[i - 1]) distinct.push(sorted[i]!);
  }
  const edges: number[] = [];
  const addBetween = (below: number, above: number) => {
    const middle = below / 2 + above / 2;
    const edge = middle > below ? middle : above;
    if (edges.length === 0 || edge > edges.at(-1)!) edges.push(edge);
  };
  if (distinct.length <= bins) {
    for (let i = 1; i < distinct.length; i++) addBetween(distinct[i - 1]!, distinct[i]!);
    return edges;
  }
  for (let k = 1; k < bins; k++) {
    let at = Math.floor((k * sorted.length) / bins);
    while (at > 0 && sorted[at - 1] === sorted[at]) at--;
    if (at > 0) addBetween(sorted[at - 1]!, sorted[at]!);
  }
  return edges;
}

function categoricalColumn(name: string, values: TextValues | CodeValues, rows: number): ProfileColumn {
  const frequencies = 'codes' in values ? countCodes(values, rows) : countTexts(values, rows);
  const byFrequency = [...frequencies].sort(
    ([textA, a], [textB, b]) => b - a || (textA < textB ? -1 : textA > textB ? 1 : 0),
  );
  return {
    name,
    kind: 'categorical',
    categories: byFrequency.slice(0, MAX_CATEGORIES).map(([text]) => text),
    hasOther: byFrequency.length > MAX_CATEGORIES || hasOthers(values, rows),
  };
}

function hasOthers(values: TextValues | CodeValues, rows: number): boolean {
  if ('texts' in values || !values.isDictionary) return false;
  const { codes, labels, stride, offset } = values;
  for (let row = 0; row < rows; row++) if (codes[offset + row * stride]! >= labels.length) return true;
  return false;
}

function countTexts({ texts, stride, offset, missing }: TextValues, rows: number): Map<string, number> {
  const frequencies = new Map<string, number>();
  for (let row = 0; row < rows; row++) {
    const text = texts[offset + row * stride];
    if (text === null || text === undefined || text === missing) continue;
    frequencies.set(text, (frequencies.get(text) ?? 0) + 1);
  }
  return frequencies;
}

function countCodes(
  { codes, labels, stride, offset, isDictionary }: CodeValues,
  rows: number,
): Map<string, number> {
  const counts = new Float64Array(labels.length);
  for (let row = 0; row < rows; row++) {
    const code = codes[offset + row * stride]!;
    if (code >= 0 && code < counts.length) counts[code]!++;
  }
  const frequencies = new Map<string, number>();
  for (const [code, label] of labels.entries()) {
    if (isDictionary || counts[code]! > 0)
      frequencies.set(label, (frequencies.get(label) ?? 0) + counts[code]!);
  }
  return frequencies;
}
