import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '../../../tests/support/index.ts';
import { withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteText } from '../duckdb/quote-sql.ts';
import { readRows } from '../training-data/read-rows.ts';
import { type IngestedTable, type IngestRequest, ingestFile } from './ingest-file.ts';

/** What the tests of all formats need: files to ingest and a look at what came of them. */
export function createIngestSuite() {
  const folder = tempDir();
  let files = 0;

  return {
    folder,

    /** Ingests a file with this content and this name. */
    ingest: (
      content: string | Buffer,
      options: Partial<IngestRequest> = {},
      name = 'table.csv',
    ): Promise<IngestedTable> => {
      const path = join(folder, `${files++}-${name}`);
      writeFileSync(path, content);
      return ingestFile({ path, outPath: `${path}.parquet`, sourceName: name, ...options });
    },

    /** Writes the rows of a query to a Parquet file. */
    writeParquet: async (select: string): Promise<string> => {
      const path = join(folder, `${files++}.parquet`);
      await withDuckdb({ read: [], write: [path] }, (session) =>
        session.run(`COPY (${select}) TO ${quoteText(path)} (FORMAT parquet, USE_TMP_FILE false)`),
      );
      return path;
    },
  };
}

/** All rows of an ingested table. */
export async function valuesOf(table: { path: string }): Promise<Record<string, unknown>[]> {
  const rows: Record<string, unknown>[] = [];
  for await (const batch of readRows(table.path)) rows.push(...batch.map((row) => ({ ...row })));
  return rows;
}

export const typesOf = (table: { schema: { name: string; type: string }[] }): Record<string, string> =>
  Object.fromEntries(table.schema.map(({ name, type }) => [name, type]));
