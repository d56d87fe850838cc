import { ApiError, nearestName } from '../../platform/index.ts';
import type { ElementType, Signature } from '../signature/signature.ts';
import { type CodeValue, codeColumn, type TensorData } from './code-column.ts';

/** A row as a caller has it: values by column name in any order, or a list in the signature's order. */
export type RawRow = Readonly<Record<string, unknown>> | readonly unknown[];

/** Rows as a graph takes them: one row-major tensor [rows, width] for each of the signature's inputs, by its name. */
export interface CodedBatch {
  rows: number;
  tensors: Record<string, TensorData>;
  /** How many values of each text column the model has not been trained on; undefined when there are none. */
  unseen?: Record<string, number>;
}

export interface RowCoder {
  /** The number of columns that each input takes, by the input's name. */
  readonly widths: Readonly<Record<string, number>>;
  /**
   * Codes rows. `text` says that the rows come from a text format such as CSV: then '' is missing, and text is read
   * as the column's type. Throws INVALID_PARAMETER_VALUE naming the row (counted from 0), the column and the value.
   */
  encode(rows: readonly RawRow[], options?: { text?: boolean }): CodedBatch;
  /** Several batches as one, in their order. */
  concat(batches: readonly CodedBatch[]): CodedBatch;
}

interface CompiledColumn {
  name: string;
  /** Names like `constructor` are found on every object: only an own property counts. */
  inherited: boolean;
  input: number;
  offset: number;
  width: number;
  code: CodeValue;
  codeText: CodeValue;
}

/** Makes the coder of a signature: all that can be looked up once is looked up here. */
export function createRowCoder(signature: Signature): RowCoder {
  const { inputs } = signature;
  const columns = compileColumns(signature);
  const names = signature.columns.map(({ name }) => name);
  const widths: Record<string, number> = {};
  for (const input of inputs) widths[input.name] = input.columns.length;

  const encode: RowCoder['encode'] = (rows, options) => {
    const text = options?.text === true;
    const arrays = inputs.map((input) => allocate(input.elementType, rows.length * input.columns.length));
    let unseen: Map<string, number> | undefined;
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index]!;
      if (typeof row !== 'object' || row === null) throw notARow(row, index);
      const list = Array.isArray(row) ? (row as readonly unknown[]) : undefined;
      if (list && list.length !== columns.length) throw wrongLength(list, index, names);
      for (let at = 0; at < columns.length; at++) {
        const column = columns[at]!;
        const value = list
          ? list[at]
          : column.inherited
            ? ownValue(row, column.name)
            : (row as Record<string, unknown>)[column.name];
        if (value === undefined) throw missingFeature(row, index, column.name, names);
        const target = index * column.width + column.offset;
        const seen = text
          ? column.codeText(value, arrays[column.input]!, target, index)
          : column.code(value, arrays[column.input]!, target, index);
        if (!seen) {
          unseen ??= new Map();
          unseen.set(column.name, (unseen.get(column.name) ?? 0) + 1);
        }
      }
    }
    const tensors: Record<string, TensorData> = {};
    for (let at = 0; at < inputs.length; at++) tensors[inputs[at]!.name] = arrays[at]!;
    return unseen
      ? { rows: rows.length, tensors, unseen: Object.fromEntries(unseen) }
      : { rows: rows.length, tensors };
  };

  return { widths, encode, concat: (batches) => concatBatches(signature, batches) };
}

function compileColumns(signature: Signature): CompiledColumn[] {
  const places = new Map<
    string,
    { input: number; offset: number; width: number; elementType: ElementType }
  >();
  signature.inputs.forEach((input, index) => {
    input.columns.forEach((name, offset) => {
      places.set(name, { input: index, offset, width: input.columns.length, elementType: input.elementType });
    });
  });
  return signature.columns.map((column) => {
    const place = places.get(column.name);
    if (!place)
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        `Column ${JSON.stringify(column.name)} is fed to no input`,
      );
    const { input, offset, width, elementType } = place;
    const { code, codeText } = codeColumn(column, elementType, signature.missingText);
    return {
      name: column.name,
      inherited: column.name in Object.prototype,
      input,
      offset,
      width,
      code,
      codeText,
    };
  });
}

function concatBatches(signature: Signature, batches: readonly CodedBatch[]): CodedBatch {
  if (batches.length === 1) return batches[0]!;
  let rows = 0;
  for (const batch of batches) rows += batch.rows;
  const tensors: Record<string, TensorData> = {};
  for (const { name, elementType, columns } of signature.inputs) {
    if (elementType === 'string') {
      tensors[name] = ([] as string[]).concat(...batches.map((batch) => batch.tensors[name] as string[]));
      continue;
    }
    const merged = allocate(elementType, rows * columns.length) as Float32Array;
    let at = 0;
    for (const batch of batches) {
      const part = batch.tensors[name] as Float32Array;
      merged.set(part, at);
      at += part.length;
    }
    tensors[name] = merged;
  }
  const unseen = new Map<string, number>();
  for (const batch of batches) {
    if (!batch.unseen) continue;
    for (const [column, count] of Object.entries(batch.unseen))
      unseen.set(column, (unseen.get(column) ?? 0) + count);
  }
  return unseen.size > 0 ? { rows, tensors, unseen: Object.fromEntries(unseen) } : { rows, tensors };
}

function allocate(elementType: ElementType, length: number): TensorData {
  switch (elementType) {
    case 'float32':
      return new Float32Array(length);
    case 'float64':
      return new Float64Array(length);
    case 'int64':
      return new BigInt64Array(length);
    case 'int32':
      return new Int32Array(length);
    case 'bool':
      return new Uint8Array(length);
    case 'string':
      return blankTexts(length);
  }
}

function blankTexts(length: number): string[] {
  const texts: string[] = [];
  for (let at = 0; at < length; at++) texts.push('');
  return texts;
}

const ownValue = (row: object, name: string): unknown =>
  Object.hasOwn(row, name) ? (row as Record<string, unknown>)[name] : undefined;

const quote = (name: string): string => JSON.stringify(name);

function notARow(row: unknown, index: number): ApiError {
  const what = row === null ? 'null' : `a ${typeof row}`;
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Row ${index} is ${what}: expected an object of column names and values, or a list of values`,
    { row: index },
  );
}

function wrongLength(row: readonly unknown[], index: number, names: readonly string[]): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Row ${index} has ${row.length} values, the model takes ${names.length}: ${listNames(names)}`,
    { row: index, expected: names.length, actual: row.length },
  );
}

function missingFeature(row: RawRow, index: number, name: string, names: readonly string[]): ApiError {
  if (Array.isArray(row)) {
    const place = names.indexOf(name);
    return new ApiError(
      'INVALID_PARAMETER_VALUE',
      `Row ${index} has no value at position ${place}, feature ${quote(name)}`,
      { row: index, missing: [name] },
    );
  }
  const missing = names.filter((wanted) => ownValue(row, wanted) === undefined);
  const known = new Set(names);
  const unknown = Object.keys(row).filter((key) => !known.has(key));
  const hints = unknown.slice(0, 5).flatMap((key) => {
    const near = nearestName(key, missing);
    return near === undefined ? [] : [`${quote(key)} may mean ${quote(near)}`];
  });
  const strange = unknown.length === 0 ? '' : `; unknown: ${listNames(unknown)}`;
  const hint = hints.length === 0 ? '' : ` (${hints.join(', ')})`;
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Row ${index} lacks ${missing.length === 1 ? 'the feature' : `${missing.length} features:`} ${listNames(missing)}${strange}${hint}`,
    { row: index, missing, ...(unknown.length > 0 ? { unknown: unknown.slice(0, 100) } : {}) },
  );
}

function listNames(names: readonly string[]): string {
  const shown = names.slice(0, 20).map(quote).join(', ');
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown;
}
