/**
 * A column of a batch as it lies in memory: the value of row i is at `offset + i * stride`, so that the tensor of a
 * batch is counted in place.
 */
export type ColumnValues = NumberValues | TextValues | CodeValues;

/** NaN is missing; infinities are counted as not finite. */
export interface NumberValues {
  numbers: Float32Array | Float64Array;
  stride: number;
  offset: number;
}

/** `null` is missing, and so is the text `missing` when it is given. */
export interface TextValues {
  texts: readonly (string | null)[];
  stride: number;
  offset: number;
  missing?: string;
}

/** Indexes into `labels`; -1, or any other index outside of it, is missing. */
export interface CodeValues {
  codes: Int32Array | Uint32Array;
  labels: readonly string[];
  /** The labels are all that is known, whether they occur or not; codes behind them are other values, not missing ones. */
  isDictionary?: true;
  stride: number;
  offset: number;
}

/** A whole array as one column. */
export function columnOf(values: Float32Array | Float64Array | readonly (string | null)[]): ColumnValues {
  return ArrayBuffer.isView(values)
    ? { numbers: values, stride: 1, offset: 0 }
    : { texts: values, stride: 1, offset: 0 };
}

/** Rows `from` and on of a column. */
export function columnFrom(values: ColumnValues, from: number): ColumnValues {
  return { ...values, offset: values.offset + from * values.stride };
}

/** Rows in the given order, copied. */
export function takeRows(values: ColumnValues, rows: ArrayLike<number>): ColumnValues {
  const { stride, offset } = values;
  const place = (i: number) => offset + rows[i]! * stride;
  if ('numbers' in values) {
    const numbers = new (values.numbers instanceof Float32Array ? Float32Array : Float64Array)(rows.length);
    for (let i = 0; i < rows.length; i++) numbers[i] = values.numbers[place(i)]!;
    return { numbers, stride: 1, offset: 0 };
  }
  if ('codes' in values) {
    const codes = new Int32Array(rows.length);
    for (let i = 0; i < rows.length; i++) codes[i] = values.codes[place(i)]!;
    return { ...values, codes, stride: 1, offset: 0 };
  }
  const texts = Array.from({ length: rows.length }, (_, i) => values.texts[place(i)] ?? null);
  return { ...values, texts, stride: 1, offset: 0 };
}
