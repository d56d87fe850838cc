import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import type { DuckDBConnection } from '@duckdb/node-api';
import type { ExportedRows, ExportRequest } from '../../log-messages.ts';
import { labelsOf, latestLabels, predictionsOf } from '../log-relations.ts';
import type { LogState } from '../log-state.ts';
import { featureColumns, typedSql } from '../model-columns.ts';
import { identifier, literal } from '../quote-sql.ts';
import { sampleSql } from './sample-rows.ts';
import { countRows } from './scored-sql.ts';

/**
 * Writes the predictions whose label is known as a table to train on: the columns, the target, `__time` (event time in
 * milliseconds) and `__entity` (what the split was drawn by). One row for each prediction id, in the order of event time;
 * of more than `maxRows` the same share of every day.
 */
export async function exportLabelled(
  connection: DuckDBConnection,
  state: LogState,
  { filter, schema, targetName, targetType, outPath, maxRows }: ExportRequest,
): Promise<ExportedRows> {
  const variants = filter.variants ?? ['champion', 'canary', 'previous'];
  const columns = schema.filter(({ name }) => name !== targetName);
  const predictions = predictionsOf(state, { ...filter, variants });
  const labels = labelsOf(state, filter.model);
  // Finding the first of each and the latest of each costs more than all the rest, and most logs have one of each.
  const unique = await connection.runAndReadAll(
    `SELECT (SELECT count(*) = count(DISTINCT u) FROM ${predictions}), (SELECT count(*) = count(DISTINCT u) FROM ${labels})`,
  );
  const [isOnce, isLabelledOnce] = unique.getRowsJS()[0] as [boolean, boolean];
  const first = 'QUALIFY row_number() OVER (PARTITION BY u ORDER BY taken, segment, line) = 1';
  const truths = isLabelledOnce
    ? `(SELECT u, label FROM ${labels})`
    : `(SELECT u, latest.label AS label FROM ${latestLabels(labels)})`;
  const label = typedSql(`json_extract_string(l.label, '$')`, targetType);
  const rows = `(SELECT p.*, ${label} AS target_value FROM ${predictions} p JOIN ${truths} l USING (u) ${isOnce ? '' : first})`;
  const labelled = `(SELECT * FROM ${rows} WHERE target_value IS NOT NULL)`;
  const all = maxRows === undefined ? undefined : await countRows(connection, labelled);
  const isSample = all !== undefined && maxRows !== undefined && all > maxRows;
  const chosen = isSample
    ? `(SELECT * FROM ${labelled} WHERE ${await sampleSql(connection, labelled, maxRows)})`
    : labelled;
  const { relation, expressions } = featureColumns(columns, chosen);
  const select = [
    ...columns.map(({ name }, index) => `${expressions[index]} AS ${identifier(name)}`),
    `target_value AS ${identifier(targetName)}`,
    't AS __time',
    'split_key AS __entity',
  ];
  await connection.run(
    `COPY (SELECT ${select.join(', ')} FROM ${relation} ORDER BY t, u)
     TO ${literal(outPath)} (FORMAT parquet, USE_TMP_FILE false)`,
  );
  const reader = await connection.runAndReadAll(
    `SELECT count(*)::DOUBLE, min(__time)::DOUBLE, max(__time)::DOUBLE FROM read_parquet(${literal(outPath)})`,
  );
  const [count, from, to] = reader.getRowsJS()[0] as [number, number | null, number | null];
  const hash = createHash('sha256');
  await pipeline(createReadStream(outPath), hash);
  return {
    rows: count,
    of: isSample ? all : count,
    digest: `sha256:${hash.digest('hex')}`,
    from: from ?? undefined,
    to: to === null ? undefined : to + 1,
  };
}
