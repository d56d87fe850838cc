import type { BatchOutput } from '../models/index.ts';

/** What a model answered where it was made. */
export interface RecordedOutputs {
  labels?: (string | number | boolean)[];
  probabilities?: number[][];
  values?: number[];
}

/** Why an answer differs from the recorded one by more than `tolerance` (relative for values); undefined when not. */
export function compareOutputs(
  expected: RecordedOutputs,
  actual: BatchOutput,
  tolerance: number,
): string | undefined {
  const rows = expected.labels?.length ?? expected.values?.length ?? expected.probabilities?.length ?? 0;
  for (let row = 0; row < rows; row++) {
    const probabilities = expected.probabilities?.[row];
    for (let at = 0; at < (probabilities?.length ?? 0); at++) {
      const wanted = probabilities?.[at] as number;
      const got = actual.probabilities?.[row * (probabilities?.length ?? 0) + at];
      if (got === undefined || !(Math.abs(got - wanted) <= tolerance)) {
        return `row ${row}, probability ${at}: ${got} instead of ${wanted}`;
      }
    }
    const value = expected.values?.[row];
    if (value !== undefined) {
      const got = actual.values?.[row];
      if (got === undefined || !(Math.abs(got - value) <= tolerance * Math.max(1, Math.abs(value)))) {
        return `row ${row}: ${got} instead of ${value}`;
      }
    }
    const label = expected.labels?.[row];
    if (label !== undefined && actual.labels?.[row] !== label) {
      return `row ${row}: ${JSON.stringify(actual.labels?.[row])} instead of ${JSON.stringify(label)}`;
    }
  }
  return undefined;
}
