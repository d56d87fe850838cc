import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { withDuckdb } from '../duckdb/duckdb-session.ts';
import { quoteText } from '../duckdb/quote-sql.ts';
import { createIngestSuite, typesOf, valuesOf } from './ingest.suite.ts';
import { ingestFile } from './ingest-file.ts';

const { folder, writeParquet } = createIngestSuite();

describe('a Parquet file', () => {
  it('has the digest of the CSV with the same rows, however many row groups and threads', async () => {
    const select = `SELECT i AS n, i / 7 AS x, CASE WHEN i % 5 = 0 THEN NULL ELSE 'word ' || (i % 1000) END AS w,
      i % 3 = 0 AS flag, TIMESTAMP '2026-01-01' + to_minutes(i) AS t FROM range(300000) r(i)`;
    const parquet = await writeParquet(select);
    const csv = join(folder, 'same.csv');
    await withDuckdb({ read: [parquet], write: [csv] }, (session) =>
      session.run(
        `COPY (SELECT * FROM read_parquet(${quoteText(parquet)})) TO ${quoteText(csv)} (FORMAT csv, USE_TMP_FILE false)`,
      ),
    );
    const one = await ingestFile({ path: parquet, outPath: join(folder, 'one.parquet') });
    const two = await ingestFile({ path: csv, outPath: join(folder, 'two.parquet') });
    const again = await ingestFile({ path: two.path, outPath: join(folder, 'three.parquet') });
    expect(two.digest).toBe(one.digest);
    expect(again.digest).toBe(one.digest);
    expect(one.digest).toMatch(/^sha256:[0-9a-f]{64}$/);
  });

  it('has another digest when rows change places, a value, a name or a type changes', async () => {
    const digests = await Promise.all(
      [
        `SELECT * FROM (VALUES (1, 'x'), (2, NULL)) t(a, b)`,
        `SELECT * FROM (VALUES (2, NULL), (1, 'x')) t(a, b)`,
        `SELECT * FROM (VALUES (1, 'x'), (2, '')) t(a, b)`,
        `SELECT * FROM (VALUES (1, 'x'), (2, NULL)) t(a, c)`,
        `SELECT * FROM (VALUES (1.0, 'x'), (2.0, NULL)) t(a, b)`,
        `SELECT * FROM (VALUES (1, 'x'), (NULL, NULL)) t(a, b)`,
      ].map(async (select) => {
        const path = await writeParquet(select);
        return (await ingestFile({ path, outPath: `${path}.canonical` })).digest;
      }),
    );
    expect(new Set(digests).size).toBe(digests.length);
  });

  it('brings decimals, dates, enums and large numbers into five types, and leaves lists out with a note', async () => {
    const path =
      await writeParquet(`SELECT 1.25::DECIMAL(9,2) AS d, 7::UTINYINT AS u, 18446744073709551615::UBIGINT AS big,
      DATE '2026-01-31' AS day, TIMESTAMPTZ '2026-01-31 12:00:00+02' AS tz, 'x'::ENUM('x','y') AS e, [1, 2] AS list,
      {'a': 1} AS struct, 'inf'::DOUBLE AS inf, 1.5::FLOAT AS f, TIME '12:00' AS clock`);
    const table = await ingestFile({ path, outPath: `${path}.canonical` });
    expect(typesOf(table)).toEqual({
      d: 'double',
      u: 'long',
      big: 'double',
      day: 'datetime',
      tz: 'datetime',
      e: 'string',
      inf: 'double',
      f: 'double',
    });
    expect(table.notes.join('\n')).toMatch(
      /"list" of type INTEGER\[\] is left out[\s\S]*"struct"[\s\S]*"clock"[\s\S]*"inf": 1 infinite value is/,
    );
    expect((await valuesOf(table))[0]).toEqual({
      d: 1.25,
      u: 7,
      big: 18446744073709552000,
      day: '2026-01-31T00:00:00.000Z',
      tz: '2026-01-31T10:00:00.000Z',
      e: 'x',
      inf: null,
      f: 1.5,
    });
  });

  it('without rows or without a usable column is refused', async () => {
    const empty = await writeParquet('SELECT 1 AS a WHERE false');
    await expect(ingestFile({ path: empty, outPath: `${empty}.canonical` })).rejects.toThrow('has no rows');
    const lists = await writeParquet('SELECT [1] AS a');
    await expect(ingestFile({ path: lists, outPath: `${lists}.canonical` })).rejects.toThrow(
      'no column can be used',
    );
  });
});
