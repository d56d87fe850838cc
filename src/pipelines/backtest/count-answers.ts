import { type BatchOutput, MISSING_TEXT, type Signature } from '../../models/index.ts';
import {
  CLASS_COLUMN,
  type ColumnValues,
  type ProfileColumn,
  type ProfileSpec,
  SCORE_COLUMN,
} from '../../profiles/index.ts';
import { mostProbableClass } from '../../statistics/index.ts';

type Row = Record<string, unknown>;

/** The values of a spec's columns in answered rows, as a model server counts them. */
export function valuesOfSpec(
  spec: ProfileSpec,
  signature: Signature,
  rows: readonly Row[],
  output: BatchOutput,
): (ColumnValues | undefined)[] {
  const answers = answerValues(signature, output);
  return spec.columns.map((column) => {
    if (column.name === SCORE_COLUMN) return answers.score;
    if (column.name === CLASS_COLUMN) return answers.predicted;
    const derived = output.features;
    if (derived !== undefined && Object.hasOwn(derived, column.name)) {
      return derivedValues(column, derived[column.name] as Float32Array | string[]);
    }
    return rawValues(column, rows);
  });
}

function answerValues({ output: spec }: Signature, { probabilities, values }: BatchOutput) {
  if (spec.task === 'regression' || probabilities === undefined) {
    return { score: values && numbers(values), predicted: undefined };
  }
  const width = spec.classes.length;
  const codes = Int32Array.from(mostProbableClass(probabilities, width));
  const score = Float32Array.from(
    codes,
    (code, row) => probabilities[row * width + (width === 2 ? 1 : code)]!,
  );
  return {
    score: numbers(score),
    predicted: { codes, labels: spec.classes.map(String), stride: 1, offset: 0 },
  };
}

function derivedValues({ kind }: ProfileColumn, values: Float32Array | string[]): ColumnValues | undefined {
  if (values instanceof Float32Array) {
    return kind === 'numeric'
      ? numbers(values)
      : texts(Array.from(values, (value) => (Number.isNaN(value) ? null : String(value))));
  }
  return kind === 'numeric' ? undefined : { ...texts(values), missing: MISSING_TEXT };
}

function rawValues({ name, kind }: ProfileColumn, rows: readonly Row[]): ColumnValues {
  if (kind === 'numeric') {
    return numbers(Float64Array.from(rows, (row) => (row[name] == null ? Number.NaN : Number(row[name]))));
  }
  return texts(
    rows.map((row) => (row[name] == null ? null : String(row[name] as string | number | boolean))),
  );
}

const numbers = (values: Float32Array | Float64Array): ColumnValues => ({
  numbers: values,
  stride: 1,
  offset: 0,
});
const texts = (values: (string | null)[]) => ({ texts: values, stride: 1, offset: 0 });
