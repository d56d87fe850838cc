import type { DuckDBDataChunk } from '@duckdb/node-api';

type Items = Float64Array | BigInt64Array | Int32Array | Uint32Array | Uint16Array | Uint8Array;

/**
 * The raw values of a column of numbers in a chunk, without a look at what is missing: select columns so that nothing is.
 * The array is a view of DuckDB's memory: copy what is to be kept.
 */
export function rawItems<T extends Items>(chunk: DuckDBDataChunk, column: number): T {
  const { items } = chunk.getColumnVector(column) as unknown as { items?: unknown };
  if (!ArrayBuffer.isView(items)) throw new Error(`Column ${column} of the chunk has no raw numbers`);
  return items as T;
}
