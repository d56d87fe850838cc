import { createRowCoder, type RawRow } from '../rows/code-rows.ts';
import type { Signature } from '../signature/signature.ts';
import { compareOutputs, exampleOf } from './compare-outputs.ts';
import type { ModelSession } from './create-session.ts';

/** A row to warm and time with, taken from the recorded example, else made up from the signature. */
export type SampleRow = Record<string, unknown>;

/** Rows of a batch as the model server may send it. */
export const TRIAL_BATCH_ROWS = 64;

/**
 * What every model has to do before it may serve: it reproduces its recorded example, or answers a made-up row when it
 * carries none, and it answers a batch. Gives the row that was used. May never end: call it where it can be ended.
 *
 * @throws Error in words when the model cannot be served.
 */
export async function tryModel(session: ModelSession): Promise<SampleRow> {
  const { signature, metadata } = session;
  const coder = createRowCoder(signature);
  const example = exampleOf(metadata);
  const output = await session.run(coder.encode(example?.rows ?? [madeUpRow(signature)]));
  const difference = example && compareOutputs(example.outputs, output);
  if (difference !== undefined) {
    throw new Error(`its answer to the recorded example differs from the recorded one: ${difference}`);
  }
  const sample = example ? named(example.rows[0] as RawRow, signature) : madeUpRow(signature);
  await session.run(coder.encode(Array.from({ length: TRIAL_BATCH_ROWS }, () => sample)));
  return sample;
}

function named(row: RawRow, { columns }: Signature): SampleRow {
  return Array.isArray(row)
    ? Object.fromEntries(columns.map(({ name }, i) => [name, row[i]]))
    : { ...(row as SampleRow) };
}

/** Any row that the signature takes. */
export function madeUpRow(signature: Signature): SampleRow {
  const row: SampleRow = {};
  for (const { name, type, categories } of signature.columns) {
    Object.defineProperty(row, name, { value: madeUpValue(type, categories), enumerable: true });
  }
  return row;
}

function madeUpValue(type: Signature['columns'][number]['type'], categories: string[] | undefined): unknown {
  switch (type) {
    case 'boolean':
      return false;
    case 'string':
      return categories?.[0] ?? '';
    case 'datetime':
      return '2024-01-01T00:00:00Z';
    case 'double':
    case 'long':
      return 0;
  }
}
