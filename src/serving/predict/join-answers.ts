import type { BatchOutput, CodedBatch } from '../../models/index.ts';
import type { TimedOutput } from '../versions/load-model.ts';

export type InputRow = Record<string, unknown> | unknown[];

/** The answers of one request's rows: a part of the batch that they ran in, from `offset` on. */
export interface RowAnswers {
  output: BatchOutput;
  offset: number;
  rows: number;
  /** Time of the run (of all runs, when the rows took several). */
  inferenceMs: number;
}

/** Rows of one request that ran in one batch. */
export interface AnsweredPart {
  /** The first of them among the request's rows. */
  at: number;
  rows: number;
  result: TimedOutput;
  /** The first of them among the batch's rows. */
  offset: number;
  batch: CodedBatch;
}

/** A request all of whose rows have been run. */
export interface AnsweredRequest<Context> {
  rows: InputRow[];
  context: Context;
  answers: RowAnswers;
  parts: AnsweredPart[];
}

/** One request's answers as one output, in the order of its rows. */
export function joinParts(
  { parts, rows }: { parts: AnsweredPart[]; rows: InputRow[] },
  classes: number,
): RowAnswers {
  const [first] = parts;
  if (parts.length === 1 && first !== undefined) {
    const { result, offset } = first;
    return { output: result.output, offset, rows: rows.length, inferenceMs: result.inferenceMs };
  }
  const output: BatchOutput = {};
  let inferenceMs = 0;
  for (const { at, rows: count, result, offset } of parts) {
    inferenceMs += result.inferenceMs;
    const { labels, probabilities, values } = result.output;
    if (labels) {
      output.labels ??= Array.from({ length: rows.length });
      for (let i = 0; i < count; i++) output.labels[at + i] = labels[offset + i] as string;
    }
    if (probabilities) {
      output.probabilities ??= new Float32Array(rows.length * classes);
      output.probabilities.set(
        probabilities.subarray(offset * classes, (offset + count) * classes),
        at * classes,
      );
    }
    if (values) {
      output.values ??= new Float32Array(rows.length);
      output.values.set(values.subarray(offset, offset + count), at);
    }
  }
  return { output, offset: 0, rows: rows.length, inferenceMs };
}
