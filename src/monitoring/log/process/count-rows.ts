import type { DuckDBConnection } from '@duckdb/node-api';
import type { CountedRows } from '../log-messages.ts';
import { labelsOf, predictionsOf } from './log-relations.ts';
import type { LogState } from './log-state.ts';

/** How many predictions of a model the log holds, by day of event time, version and variant. */
export async function countRows(
  connection: DuckDBConnection,
  state: LogState,
  { model }: { model: string },
): Promise<CountedRows> {
  const labels = labelsOf(state, model);
  const reader = await connection.runAndReadAll(
    `SELECT (epoch_ms(date_trunc('day', epoch_ms(t))))::DOUBLE AS day, version, variant, count(*)::DOUBLE,
       count(l.u)::DOUBLE, max(t)::DOUBLE
     FROM ${predictionsOf(state, { model })} p LEFT JOIN (SELECT DISTINCT u FROM ${labels}) l USING (u)
     GROUP BY ALL ORDER BY day, version, variant`,
  );
  const found = reader.getRowsJS() as [number, string, string, number, number, number][];
  const groups = found.map(([day, version, variant, rows, labelled]) => ({
    day,
    version,
    variant,
    rows,
    labelled,
  }));
  const counted = await connection.runAndReadAll(`SELECT count(*)::DOUBLE FROM ${labels}`);
  return {
    rows: groups.reduce((sum, { rows }) => sum + rows, 0),
    labelled: groups.reduce((sum, { labelled }) => sum + labelled, 0),
    labels: counted.getRowsJS()[0]![0] as number,
    newestEvent:
      found.length === 0
        ? undefined
        : found.reduce((newest, [, , , , , t]) => Math.max(newest, t), -Infinity),
    groups,
  };
}
