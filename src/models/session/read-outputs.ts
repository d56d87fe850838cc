import { ApiError } from '../../platform/index.ts';
import type { ClassifierOutput, ClassValue, OutputSpec } from '../signature/signature.ts';

/** What a model answers for a batch, row by row. */
export interface BatchOutput {
  /** Classifiers: the predicted class of each row, typed as the signature's classes. */
  labels?: ClassValue[];
  /** Classifiers: [rows, classes], row-major, in the order of the signature's classes. */
  probabilities?: Float32Array;
  /** Regressions: [rows]. */
  values?: Float32Array;
  /** Derived columns that the graph hands out beside its answer, by name: a number (NaN: missing) or a text for each row. */
  features?: Record<string, FeatureValues>;
}

/** Text is MISSING_TEXT where it is missing. */
export type FeatureValues = Float32Array | string[];

/** Before the name of a derived column in the name of the output that hands it out. */
export const FEATURE_PREFIX = 'feature:';

interface NativeTensor {
  data: unknown;
  dims: readonly number[];
}

/** Reads what the graph's outputs hold for `rows` rows. */
export function readOutputs(
  spec: OutputSpec,
  results: Record<string, unknown>,
  rows: number,
  derived: readonly string[] = [],
): BatchOutput {
  const output = readAnswer(spec, results, rows);
  if (derived.length > 0) output.features = readFeatures(derived, results, rows);
  return output;
}

function readFeatures(
  derived: readonly string[],
  results: Record<string, unknown>,
  rows: number,
): Record<string, FeatureValues> {
  const features: Record<string, FeatureValues> = Object.create(null);
  for (const name of derived) {
    const tensor = results[FEATURE_PREFIX + name] as NativeTensor;
    const texts = tensor.data as string[];
    if (!Array.isArray(texts)) features[name] = toFloats(FEATURE_PREFIX + name, tensor, rows, 1);
    else if (texts.length === rows) features[name] = texts;
    else throw wrongSize(FEATURE_PREFIX + name, tensor, rows, 1);
  }
  return features;
}

function readAnswer(spec: OutputSpec, results: Record<string, unknown>, rows: number): BatchOutput {
  if (spec.task === 'regression')
    return { values: toFloats(spec.value, results[spec.value] as NativeTensor, rows, 1) };
  const { classes } = spec;
  const probabilities = readProbabilities(spec, results[spec.probabilities] as NativeTensor, rows);
  const labels =
    spec.label === undefined
      ? mostProbable(probabilities, classes, rows)
      : readLabels(spec.label, results[spec.label] as NativeTensor, classes, rows);
  return { labels, probabilities };
}

/** The answers of several batches as those of one. */
export function joinOutputs(parts: readonly BatchOutput[]): BatchOutput {
  const labels = parts.flatMap((part) => part.labels ?? []);
  const probabilities = joinFloats(parts.map((part) => part.probabilities));
  const values = joinFloats(parts.map((part) => part.values));
  const features = joinFeatures(parts);
  return {
    ...(probabilities ? { labels, probabilities } : {}),
    ...(values ? { values } : {}),
    ...(features ? { features } : {}),
  };
}

function joinFeatures(parts: readonly BatchOutput[]): Record<string, FeatureValues> | undefined {
  const first = parts[0]?.features;
  if (!first) return undefined;
  const joined: Record<string, FeatureValues> = Object.create(null);
  for (const [name, values] of Object.entries(first)) {
    const pieces = parts.map((part) => part.features![name]!);
    joined[name] = Array.isArray(values)
      ? (pieces as string[][]).flat()
      : joinFloats(pieces as Float32Array[])!;
  }
  return joined;
}

function joinFloats(parts: readonly (Float32Array | undefined)[]): Float32Array | undefined {
  const present = parts.filter((part) => part !== undefined);
  if (present.length === 0) return undefined;
  const joined = new Float32Array(present.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of present) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

function readProbabilities(spec: ClassifierOutput, tensor: NativeTensor, rows: number): Float32Array {
  const width = spec.classes.length;
  const single =
    width === 2 && tensor.data instanceof Object && (tensor.data as Float32Array).length === rows;
  const scores = toFloats(spec.probabilities, tensor, rows, single ? 1 : width);
  if (spec.activation === 'sigmoid')
    for (let at = 0; at < scores.length; at++) scores[at] = 1 / (1 + Math.exp(-scores[at]!));
  const probabilities = single ? bothClasses(scores) : scores;
  if (spec.activation === 'softmax') applySoftmax(probabilities, width);
  // Sums of float32 leaves can end a little below 0 or above 1.
  for (let at = 0; at < probabilities.length; at++) {
    const value = probabilities[at]!;
    if (value < 0) probabilities[at] = 0;
    else if (value > 1) probabilities[at] = 1;
  }
  return probabilities;
}

function bothClasses(positive: Float32Array): Float32Array {
  const probabilities = new Float32Array(positive.length * 2);
  for (let row = 0; row < positive.length; row++) {
    probabilities[2 * row] = 1 - positive[row]!;
    probabilities[2 * row + 1] = positive[row]!;
  }
  return probabilities;
}

function applySoftmax(scores: Float32Array, width: number): void {
  for (let start = 0; start < scores.length; start += width) {
    let highest = Number.NEGATIVE_INFINITY;
    for (let at = start; at < start + width; at++) highest = Math.max(highest, scores[at]!);
    let sum = 0;
    for (let at = start; at < start + width; at++) sum += Math.exp(scores[at]! - highest);
    for (let at = start; at < start + width; at++) scores[at] = Math.exp(scores[at]! - highest) / sum;
  }
}

/** The first of equally probable classes wins, as in NumPy's argmax. */
function mostProbable(
  probabilities: Float32Array,
  classes: readonly ClassValue[],
  rows: number,
): ClassValue[] {
  const width = classes.length;
  const labels: ClassValue[] = [];
  for (let row = 0; row < rows; row++) {
    let best = 0;
    for (let at = 1; at < width; at++) {
      if (probabilities[row * width + at]! > probabilities[row * width + best]!) best = at;
    }
    labels.push(classes[best]!);
  }
  return labels;
}

function readLabels(
  name: string,
  tensor: NativeTensor,
  classes: readonly ClassValue[],
  rows: number,
): ClassValue[] {
  const data = tensor.data as ArrayLike<string | number | bigint>;
  if (data.length !== rows) throw wrongSize(name, tensor, rows, 1);
  const byText = new Map(classes.map((value) => [labelKey(value), value]));
  return Array.from(data, (raw) => byText.get(String(raw)) ?? (typeof raw === 'bigint' ? Number(raw) : raw));
}

/** A graph holds booleans as the integers 0 and 1. */
const labelKey = (value: ClassValue): string =>
  typeof value === 'boolean' ? (value ? '1' : '0') : String(value);

function toFloats(name: string, tensor: NativeTensor, rows: number, width: number): Float32Array {
  const { data } = tensor;
  if (!ArrayBuffer.isView(data))
    throw new ApiError('INTERNAL_ERROR', `Output ${JSON.stringify(name)} holds no numbers`);
  const numbers = data as Float32Array | BigInt64Array;
  if (numbers.length !== rows * width) throw wrongSize(name, tensor, rows, width);
  if (numbers instanceof Float32Array) return numbers;
  return Float32Array.from(numbers as unknown as ArrayLike<number>, Number);
}

function wrongSize(name: string, { dims }: NativeTensor, rows: number, width: number): ApiError {
  return new ApiError(
    'INTERNAL_ERROR',
    `Output ${JSON.stringify(name)} has the shape [${dims.join(', ')}], where [${rows}, ${width}] was expected`,
  );
}
