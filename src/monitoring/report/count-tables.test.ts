import { join } from 'node:path';
import { expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { withDuckdb } from '../../datasets/index.ts';
import { columnOf, type NumericColumn, specOf } from '../../profiles/index.ts';
import { countTables } from './count-tables.ts';
import { openTable } from './open-table.ts';

const folder = tempDir();
const DAY_MS = 86_400_000;

/** Rows with everything that a column can hold: heavy tails, ties, no value, NaN, infinities, a constant, new texts. */
const rowsSql = (rows: number, shift: number) => `
  SELECT
    CASE WHEN i % 11 = 0 THEN NULL ELSE ${shift} + ln(1 + hash(i + ${rows}) % 100000) END AS level,
    CASE WHEN i % 97 = 0 THEN 'nan'::DOUBLE WHEN i % 89 = 0 THEN 'inf'::DOUBLE WHEN i % 83 = 0 THEN '-inf'::DOUBLE
      ELSE exp((hash(i * 3) % 1000) / 100.0) + ${shift} END AS wild,
    CAST(hash(i * 7) % 24 AS INTEGER) AS hour,
    1e9 AS fixed,
    CASE WHEN i % 13 = 0 THEN NULL WHEN i % 101 = 0 THEN '' ELSE 'city ' || (hash(i * 5) % ${12 + shift * 4}) END AS city,
    'word ' || (hash(i * 9) % 700) AS word,
    hash(i * 17) % 2 = 0 AS flag,
    CASE WHEN i % 59 = 0 THEN NULL ELSE TIMESTAMP '2001-01-01' + INTERVAL (i // 100) HOUR END AS day
  FROM range(${rows}) t(i)`;

const REFERENCE_ROWS = 9_000;
const CURRENT_ROWS = 5_000;

it.each(['whole days', 'random chunks'])(
  'counts what a count of each row by itself says, by %s',
  async (by) => {
    const paths = ['reference', 'current'].map((name) => join(folder, `${name} of ${by}.parquet`)) as [
      string,
      string,
    ];
    await withDuckdb({ read: paths, write: paths }, async (session) => {
      await session.run(
        `COPY (${rowsSql(REFERENCE_ROWS, 0)}) TO '${paths[0]}' (FORMAT parquet, ROW_GROUP_SIZE 4096)`,
      );
      await session.run(`COPY (${rowsSql(CURRENT_ROWS, 1)}) TO '${paths[1]}' (FORMAT parquet)`);
      const [reference, current] = [
        await openTable(session, { name: 'reference', parquet: paths[0], notes: [] }),
        await openTable(session, { name: 'current', parquet: paths[1], notes: [] }),
      ];
      const compared = reference.columns.filter(({ kind }) => kind !== 'date');
      const day = reference.columns.find(({ kind }) => kind === 'date')!;
      const counted = await countTables(session, {
        reference,
        current,
        compared,
        rule: by === 'whole days' ? { kind: 'days', sql: day.sql } : { kind: 'random' },
      });
      expect(counted.spec.columns.map(({ name }) => name)).toEqual(compared.map(({ name }) => name));

      for (const [which, table] of [
        ['reference', reference],
        ['current', current],
      ] as const) {
        const label =
          which === 'current'
            ? '0'
            : by === 'whole days'
              ? `floor(${day.sql} / ${DAY_MS})`
              : table.chunkSql(40);
        const rows = await session.rows(
          `SELECT ${label} AS w, ${compared.map(({ sql }, i) => `${sql} AS x${i}`).join(', ')} FROM ${table.relation}`,
        );
        const labels = [...new Set(rows.map((row) => row['w']))].filter((each) => each !== null);
        labels.sort((a, b) => Number(a) - Number(b));
        const windows = which === 'reference' ? counted.referenceWindows : [counted.currentWindow];
        expect(windows).toHaveLength(labels.length);
        for (const [i, column] of counted.spec.columns.entries()) {
          const valuesOf = (of: typeof rows) => of.map((row) => row[`x${i}`]);
          for (const [at, window] of windows.entries()) {
            const values = valuesOf(rows.filter((row) => row['w'] === labels[at]));
            const counts = window.columns[i]!;
            if (column.kind === 'numeric') {
              const numbers = values.map((value) => (value === null ? Number.NaN : Number(value)));
              const finite = numbers.filter(Number.isFinite);
              const place = (value: number) =>
                value < column.min
                  ? 0
                  : value > column.max
                    ? column.edges.length + 2
                    : 1 + column.edges.filter((edge) => edge <= value).length;
              const bins = Array.from({ length: column.edges.length + 3 }, () => 0);
              for (const value of finite) bins[place(value)]! += 1;
              expect({
                column: column.name,
                bins: [...counts.bins],
                count: counts.count,
                missing: counts.missing,
                nonFinite: counts.nonFinite,
              }).toEqual({
                column: column.name,
                bins,
                count: finite.length,
                missing: numbers.filter(Number.isNaN).length,
                nonFinite: numbers.length - finite.length - numbers.filter(Number.isNaN).length,
              });
            } else {
              const known = new Map(column.categories.map((category, bin) => [category, bin]));
              const bins = Array.from({ length: column.categories.length + 1 }, () => 0);
              const present = values.filter((value) => value !== null).map(String);
              let unseen = 0;
              for (const value of present) {
                const bin = known.get(value) ?? (column.hasOther ? column.categories.length : undefined);
                if (bin === undefined) unseen++;
                else bins[bin]! += 1;
              }
              expect({
                column: column.name,
                bins: [...counts.bins],
                count: counts.count,
                missing: counts.missing,
                unseen: counts.unseen,
              }).toEqual({
                column: column.name,
                bins,
                count: present.length,
                missing: values.length - present.length,
                unseen,
              });
            }
          }
          if (column.kind === 'numeric') {
            const all = valuesOf(rows).map((value) => (value === null ? Number.NaN : Number(value)));
            const finite = all.filter(Number.isFinite);
            const mean = finite.reduce((sum, value) => sum + value, 0) / finite.length;
            const facts = counted.facts[which].get(column.name)!;
            expect(facts).toMatchObject({
              rows: table.rows,
              min: Math.min(...finite),
              max: Math.max(...finite),
              isConstant: column.name === 'fixed',
            });
            expect(facts.mean).toBeCloseTo(mean, 6);
            expect(facts.sd).toBeCloseTo(
              Math.sqrt(finite.reduce((sum, value) => sum + (value - mean) ** 2, 0) / finite.length),
              6,
            );
            if (which === 'reference') {
              const own = specOf(
                [{ name: column.name, values: columnOf(Float64Array.from(all)) }],
                all.length,
              );
              expect(column).toEqual(own.columns[0] as NumericColumn);
            }
          }
        }
      }
    });
  },
);
