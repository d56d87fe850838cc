import { createRowCoder, type RawRow } from '../rows/code-rows.ts';
import { EXAMPLE_KEY } from '../signature/read-signature.ts';
import type { ClassValue, Signature } from '../signature/signature.ts';
import type { ModelSession } from './create-session.ts';
import type { BatchOutput } from './read-outputs.ts';

/** What a model answered, as JSON: one entry a row. */
export interface RecordedOutputs {
  labels?: ClassValue[];
  probabilities?: number[][];
  values?: number[];
}

/** Rows as a caller sends them, with what the model answered where it was made. */
export interface RecordedExample {
  rows: RawRow[];
  outputs: RecordedOutputs;
}

/** Probabilities may differ by this much, and values by this share of themselves: runtimes sum in another order. */
export const OUTPUT_TOLERANCE = 1e-4;

/** Predicts the rows and returns them with their answers, to be kept in the file under `tidemill.example`. */
export async function recordExample(
  session: ModelSession,
  rows: readonly RawRow[],
): Promise<RecordedExample> {
  const { signature } = session;
  const plain = rows.map((row) => plainRow(row, signature));
  const output = await session.run(createRowCoder(signature).encode(plain));
  return { rows: plain, outputs: recordOutputs(output, plain.length) };
}

/** A batch's answers as plain JSON. */
export function recordOutputs({ labels, probabilities, values }: BatchOutput, rows: number): RecordedOutputs {
  const width = probabilities && rows > 0 ? probabilities.length / rows : 0;
  return {
    ...(labels ? { labels: [...labels] } : {}),
    ...(probabilities
      ? {
          probabilities: Array.from({ length: rows }, (_, row) => [
            ...probabilities.subarray(row * width, (row + 1) * width),
          ]),
        }
      : {}),
    ...(values ? { values: [...values] } : {}),
  };
}

/** A row by name that survives JSON: a missing number is null, a moment ISO text. */
function plainRow(row: RawRow, { columns }: Signature): RawRow {
  const entries = columns.map(({ name }, index): [string, unknown] => {
    const value = Array.isArray(row)
      ? row[index]
      : Object.hasOwn(row, name)
        ? (row as Record<string, unknown>)[name]
        : undefined;
    if (typeof value === 'number' && Number.isNaN(value)) return [name, null];
    if (typeof value === 'bigint') return [name, Number(value)];
    return [name, value instanceof Date ? value.toISOString() : value];
  });
  return Object.fromEntries(entries);
}

/** The example that a file's metadata carry; undefined when they carry none, or one that is none. */
export function exampleOf(metadata: Readonly<Record<string, string>>): RecordedExample | undefined {
  const text = metadata[EXAMPLE_KEY];
  if (text === undefined) return undefined;
  try {
    const example = JSON.parse(text) as Partial<RecordedExample> | null;
    const usable =
      Array.isArray(example?.rows) && example.rows.length > 0 && typeof example.outputs === 'object';
    return usable && example.outputs !== null ? (example as RecordedExample) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Runs the recorded example of a session's file. Answers why it differs from the recorded answers; undefined when it
 * does not, or when the file carries no example.
 */
export async function verifyExample(
  session: ModelSession,
  tolerance: number = OUTPUT_TOLERANCE,
): Promise<string | undefined> {
  const example = exampleOf(session.metadata);
  if (!example) return undefined;
  const output = await session.run(createRowCoder(session.signature).encode(example.rows));
  return compareOutputs(example.outputs, output, tolerance);
}

/**
 * Why an answer differs from the expected one by more than `tolerance` (absolute for probabilities, relative for
 * values beyond 1); undefined when it does not. A label may differ where its probability ties with the expected one's.
 */
export function compareOutputs(
  expected: RecordedOutputs | BatchOutput,
  actual: RecordedOutputs | BatchOutput,
  tolerance: number = OUTPUT_TOLERANCE,
): string | undefined {
  return (
    compareNumbers(
      'value',
      expected.values,
      actual.values,
      1,
      (value) => tolerance * Math.max(1, Math.abs(value)),
    ) ??
    compareProbabilities(expected, actual, tolerance) ??
    compareLabels(expected, actual, tolerance)
  );
}

function compareProbabilities(
  expected: RecordedOutputs | BatchOutput,
  actual: RecordedOutputs | BatchOutput,
  tolerance: number,
): string | undefined {
  const width = classCount(expected);
  if (actual.probabilities && expected.probabilities && classCount(actual) !== width) {
    return `${classCount(actual)} probabilities a row instead of ${width}`;
  }
  return compareNumbers(
    'probability',
    flatten(expected.probabilities),
    flatten(actual.probabilities),
    width,
    () => tolerance,
  );
}

function compareNumbers(
  what: string,
  expected: ArrayLike<number> | undefined,
  actual: ArrayLike<number> | undefined,
  width: number,
  tolerance: (value: number) => number,
): string | undefined {
  if (!expected) return undefined;
  if (!actual) return `no ${what} was answered`;
  if (expected.length !== actual.length)
    return `${actual.length / width} rows instead of ${expected.length / width}`;
  for (let at = 0; at < expected.length; at++) {
    const wanted = expected[at]!;
    const got = actual[at]!;
    if (Object.is(got, wanted) || Math.abs(got - wanted) <= tolerance(wanted)) continue;
    const place = width > 1 ? `row ${Math.floor(at / width)}, ${what} ${at % width}` : `row ${at}, ${what}`;
    return `${place}: ${got} instead of ${wanted}`;
  }
  return undefined;
}

function compareLabels(
  expected: RecordedOutputs | BatchOutput,
  actual: RecordedOutputs | BatchOutput,
  tolerance: number,
): string | undefined {
  if (!expected.labels) return undefined;
  if (!actual.labels) return 'no label was answered';
  if (expected.labels.length !== actual.labels.length) {
    return `${actual.labels.length} rows instead of ${expected.labels.length}`;
  }
  const probabilities = flatten(expected.probabilities);
  const width = classCount(expected);
  for (let row = 0; row < expected.labels.length; row++) {
    if (expected.labels[row] === actual.labels[row]) continue;
    if (probabilities && leadOf(probabilities, row, width) <= 2 * tolerance) continue;
    return `row ${row}: ${JSON.stringify(actual.labels[row])} instead of ${JSON.stringify(expected.labels[row])}`;
  }
  return undefined;
}

/** How far the most probable class of a row is ahead of the next one. */
function leadOf(probabilities: ArrayLike<number>, row: number, width: number): number {
  let best = 0;
  let second = 0;
  for (let at = row * width; at < (row + 1) * width; at++) {
    const value = probabilities[at]!;
    if (value > best) [best, second] = [value, best];
    else if (value > second) second = value;
  }
  return best - second;
}

function classCount({ probabilities, labels }: RecordedOutputs | BatchOutput): number {
  if (!probabilities || probabilities.length === 0) return 1;
  const [first] = probabilities;
  return Array.isArray(first) ? first.length : probabilities.length / Math.max(1, labels?.length ?? 1);
}

const flatten = (probabilities: number[][] | Float32Array | undefined): ArrayLike<number> | undefined =>
  Array.isArray(probabilities) ? probabilities.flat() : probabilities;
