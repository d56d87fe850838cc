import type { DuckDBConnection } from '@duckdb/node-api';

/** A number of the prediction id that has nothing to do with its time, the same in every process and for ever. */
const HASH = "md5_number_lower(coalesce(u::VARCHAR, ''))";

/**
 * A condition that lets `most` of a relation's rows through: those whose prediction ids have the lowest hashes, which is the
 * same share of every day, and the same rows whoever asks. `u` must tell its rows apart.
 */
export async function sampleSql(
  connection: DuckDBConnection,
  relation: string,
  most: number,
): Promise<string> {
  const reader = await connection.runAndReadAll(
    `SELECT (${HASH})::VARCHAR FROM ${relation} ORDER BY ${HASH} LIMIT 1 OFFSET ${Math.trunc(most)}`,
  );
  const border = reader.getRowsJS()[0]?.[0] as string | undefined;
  return border === undefined ? 'true' : `${HASH} < ${border}::UBIGINT`;
}
