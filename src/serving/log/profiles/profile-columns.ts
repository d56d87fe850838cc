import {
  type BatchOutput,
  type CodedBatch,
  MISSING_DATETIME,
  MISSING_TEXT,
  type Signature,
} from '../../../models/index.ts';
import {
  CLASS_COLUMN,
  type ColumnValues,
  type ProfileColumn,
  type ProfileSpec,
  SCORE_COLUMN,
} from '../../../profiles/index.ts';

/** A batch as it was fed and answered; `classCodes` are the places of the predicted classes. */
export interface AnsweredBatch {
  batch: CodedBatch;
  output: BatchOutput;
  classCodes: Int32Array;
}

type View = (answered: AnsweredBatch) => ColumnValues | undefined;

/**
 * Finds the values of a spec's columns in a batch: the tensors where they lie, what the graph hands out of its derived
 * columns, the answer. A column that is nowhere is left out, and so counted as unknown.
 */
export function createColumnViews(
  spec: ProfileSpec,
  signature: Signature,
): (answered: AnsweredBatch) => (ColumnValues | undefined)[] {
  const views = spec.columns.map((column) => viewOf(column, signature));
  return (answered) => views.map((view) => view(answered));
}

function viewOf(column: ProfileColumn, signature: Signature): View {
  if (column.name === SCORE_COLUMN) return scoreView(signature.output);
  if (column.name === CLASS_COLUMN) return classView(signature.output);
  return rawView(column, signature) ?? derivedView(column);
}

function scoreView(output: Signature['output']): View {
  if (output.task === 'regression')
    return ({ output: { values } }) => values && { numbers: values, stride: 1, offset: 0 };
  const width = output.classes.length;
  if (width === 2) {
    return ({ output: { probabilities } }) =>
      probabilities && { numbers: probabilities, stride: 2, offset: 1 };
  }
  return ({ batch, output: { probabilities } }) => {
    if (probabilities === undefined) return undefined;
    const highest = new Float32Array(batch.rows);
    for (let row = 0, at = 0; row < batch.rows; row++) {
      let most = probabilities[at++] as number;
      for (let i = 1; i < width; i++, at++)
        if ((probabilities[at] as number) > most) most = probabilities[at] as number;
      highest[row] = most;
    }
    return { numbers: highest, stride: 1, offset: 0 };
  };
}

function classView(output: Signature['output']): View {
  if (output.task === 'regression') return () => undefined;
  const labels = output.classes.map(String);
  return ({ classCodes }) => ({ codes: classCodes, labels, stride: 1, offset: 0 });
}

function rawView({ name, kind }: ProfileColumn, signature: Signature): View | undefined {
  const input = signature.inputs.find(({ columns }) => columns.includes(name));
  if (input === undefined) return undefined;
  const offset = input.columns.indexOf(name);
  const stride = input.columns.length;
  const { elementType } = input;
  const { missingText } = signature;
  if (elementType === 'string') {
    if (kind === 'numeric') return () => undefined;
    return ({ batch }) => ({
      texts: batch.tensors[input.name] as string[],
      stride,
      offset,
      ...(missingText !== undefined && { missing: missingText }),
    });
  }
  const isBoolean = signature.columns.find((column) => column.name === name)?.type === 'boolean';
  return ({ batch }) => {
    const tensor = batch.tensors[input.name] as
      | Float32Array
      | Float64Array
      | BigInt64Array
      | Int32Array
      | Uint8Array;
    const isFloat = tensor instanceof Float32Array || tensor instanceof Float64Array;
    if (kind === 'numeric' && isFloat) return { numbers: tensor, stride, offset };
    const numbers = new Float64Array(batch.rows);
    for (let row = 0; row < batch.rows; row++) {
      const value = tensor[row * stride + offset] as number | bigint;
      numbers[row] = value === MISSING_DATETIME ? Number.NaN : Number(value);
    }
    return kind === 'numeric' ? { numbers, stride: 1, offset: 0 } : asTexts(numbers, isBoolean);
  };
}

function derivedView({ name, kind }: ProfileColumn): View {
  return ({ output: { features } }) => {
    const values = features !== undefined && Object.hasOwn(features, name) ? features[name] : undefined;
    if (values === undefined) return undefined;
    if (values instanceof Float32Array) {
      return kind === 'numeric' ? { numbers: values, stride: 1, offset: 0 } : asTexts(values, false);
    }
    return kind === 'numeric' ? undefined : { texts: values, stride: 1, offset: 0, missing: MISSING_TEXT };
  };
}

/** Numbers that are counted as categories, in the words that the reference has for them. */
function asTexts(numbers: Float32Array | Float64Array, isBoolean: boolean): ColumnValues {
  const texts = Array.from(numbers, (value) => {
    if (Number.isNaN(value)) return null;
    return isBoolean ? String(value !== 0) : String(value);
  });
  return { texts, stride: 1, offset: 0 };
}
