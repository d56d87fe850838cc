import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

// Makes january.parquet and live.parquet out of the three million flights of vega-datasets. Run it to get the same rows again.
const manifest = findPackageJSON('vega-datasets', import.meta.url);
if (manifest === undefined) throw new Error('vega-datasets is not installed: run npm ci');
const source = join(dirname(manifest), 'data/flights-3m.parquet');
const database = await DuckDBInstance.create(':memory:', { memory_limit: '1GB', threads: '1' });
const connection = await database.connect();
for (const [name, from, to] of [
  ['january', '2001-01-01', '2001-02-01'],
  ['live', '2001-02-01', '2001-07-01'],
]) {
  const path = fileURLToPath(new URL(`${name}.parquet`, import.meta.url));
  await connection.run(
    `COPY (SELECT date, delay, distance, destination FROM '${source}'
           WHERE origin = 'PHX' AND date >= '${from}' AND date < '${to}' ORDER BY date, destination, delay, distance)
     TO '${path}' (FORMAT parquet, COMPRESSION zstd)`,
  );
}
