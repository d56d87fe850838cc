import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import { quoteIdentifier, quoteText, quoteTextList } from '../duckdb/quote-sql.ts';

/** Texts that mean "missing" in columns of numbers, dates and truth values; in text columns only an empty field does. */
const MISSING = ['', 'na', 'n/a', '#n/a', 'nan', 'null', 'none', '-', '?', '.'];

/** How many values of a column pass each test. */
export type Counts = Record<
  | 'filled'
  | 'present'
  | 'number'
  | 'whole'
  | 'zeros'
  | 'wide'
  | 'infinite'
  | 'boolean'
  | 'datetime'
  | 'foreignDate',
  number
>;

export const trimmed = (sql: string) => `trim(${sql})`;
/** Not by IN: DuckDB makes a join of a longer list, after which the rows come in any order. */
export const present = (sql: string) =>
  `(NOT list_contains(${quoteTextList(MISSING)}, lower(${trimmed(sql)})))`;
export const numberText = (sql: string, decimalComma: boolean) =>
  decimalComma ? `replace(${trimmed(sql)}, ',', '.')` : trimmed(sql);
/** Whether a text is made of these letters only; cheap, where each regular expression takes megabytes that no limit counts. */
const madeOf = (sql: string, letters: string) => `translate(${sql}, ${quoteText(letters)}, '') = ''`;

const DIGITS = '0123456789';

/** SQL that is true for the values that pass a test. */
export function testSql(test: keyof Counts, sql: string, decimalComma: boolean): string {
  const text = trimmed(sql);
  const number = `TRY_CAST(${numberText(sql, decimalComma)} AS DOUBLE)`;
  const holds = (letter: string) => `contains(${text}, '${letter}')`;
  const when = (cheap: string, costly: string) => `CASE WHEN ${cheap} THEN ${costly} ELSE false END`;
  switch (test) {
    case 'filled':
      return `${sql} IS NOT NULL`;
    case 'present':
      return present(sql);
    case 'number':
      return `${number} IS NOT NULL AND NOT ${holds('_')} AND NOT isnan(${number})`;
    case 'whole':
      return `${number} IS NOT NULL AND NOT (${['.', ',', 'e', 'E', 'n', 'N', '_'].map(holds).join(' OR ')})`;
    case 'zeros':
      return when(`${text} LIKE '0_%'`, madeOf(text, DIGITS));
    case 'wide':
      return when(
        `strlen(${text}) >= 19`,
        `${madeOf(text, `+-${DIGITS}`)} AND TRY_CAST(${text} AS BIGINT) IS NULL`,
      );
    case 'infinite':
      return `isinf(${number})`;
    case 'boolean':
      return `lower(${text}) IN ('true', 'false')`;
    case 'datetime':
      return when(
        `strlen(${text}) >= 8 AND ${text}[5:5] IN ('-', '/')`,
        `${madeOf(text, `${DIGITS}-/:.+ TZUCtzuc`)} AND TRY_CAST(${text} AS TIMESTAMPTZ) IS NOT NULL`,
      );
    case 'foreignDate':
      return (
        `strlen(${text}) BETWEEN 6 AND 10 AND ${madeOf(text, `${DIGITS}/.-`)} ` +
        `AND (${text} LIKE '%_/%_/__%' OR ${text} LIKE '%_.%_.__%' OR ${text} LIKE '%_-%_-__%')`
      );
  }
}

/** A query with tests for every column takes longer to plan than to run when there are many. */
const FEW_COLUMNS = 40;
/** Columns of one pass over a wide table: a chunk of their rows lies in memory value by value. */
const COLUMNS_AT_ONCE = 200;

export interface Wanted {
  /** SQL that gives the text. */
  sql: string;
  tests: readonly (keyof Counts)[];
}

export interface PassingRequest {
  session: DuckdbSession;
  relation: string;
  decimalComma: boolean;
}

/** Counts, for each column, the values that pass each test. */
export async function countPassing(
  request: PassingRequest,
  wanted: readonly Wanted[],
  limit?: number,
): Promise<Counts[]> {
  if (wanted.length === 0) return [];
  const relation =
    limit === undefined ? request.relation : `(SELECT * FROM ${request.relation} LIMIT ${limit})`;
  if (wanted.length <= FEW_COLUMNS) return countFew({ ...request, relation }, wanted);
  const counts: Counts[] = [];
  for (let first = 0; first < wanted.length; first += COLUMNS_AT_ONCE) {
    const some = wanted.slice(first, first + COLUMNS_AT_ONCE);
    counts.push(...(await countMany({ ...request, relation }, some)));
  }
  return counts;
}

const noCounts = (): Counts => ({
  filled: 0,
  present: 0,
  number: 0,
  whole: 0,
  zeros: 0,
  wide: 0,
  infinite: 0,
  boolean: 0,
  datetime: 0,
  foreignDate: 0,
});

const ALWAYS = ['filled', 'present'] as const;
const countSql = (condition: string) => `count(CASE WHEN ${condition} THEN 1 END)`;

async function countFew(
  { session, relation, decimalComma }: PassingRequest,
  wanted: readonly Wanted[],
): Promise<Counts[]> {
  const selected = wanted.flatMap(({ sql, tests }, index) =>
    [...ALWAYS, ...tests].map(
      (test) => `${countSql(testSql(test, sql, decimalComma))} AS ${quoteIdentifier(`${index} ${test}`)}`,
    ),
  );
  const row = await session.row(`SELECT ${selected.join(', ')} FROM ${relation}`);
  const counts = wanted.map(noCounts);
  for (const [key, value] of Object.entries(row)) {
    const [index, test] = key.split(' ') as [string, keyof Counts];
    counts[Number(index)]![test] = Number(value);
  }
  return counts;
}

/** The columns as rows of one, so that each test is written once. */
async function countMany(
  { session, relation, decimalComma }: PassingRequest,
  wanted: readonly Wanted[],
): Promise<Counts[]> {
  // Columns with the same tests are of one kind.
  const kinds = [...new Set(wanted.map(({ tests }) => tests.join(' ')))];
  const kindOf = wanted.map(({ tests }) => kinds.indexOf(tests.join(' ')));
  const asked = [...new Set<keyof Counts>([...ALWAYS, ...wanted.flatMap(({ tests }) => tests)])];
  const selected = asked.map((test) => {
    const sql = testSql(test, 'value', decimalComma);
    const own = kinds.flatMap((kind, index) => (kind.split(' ').includes(test) ? [`kind = ${index}`] : []));
    const when = own.length === 0 ? sql : `CASE WHEN ${own.join(' OR ')} THEN ${sql} ELSE false END`;
    return `${countSql(when)} AS ${quoteIdentifier(test)}`;
  });
  const rows = await session.rows(
    `SELECT place, ${selected.join(', ')} FROM (
       SELECT unnest([${wanted.map(({ sql }) => sql).join(', ')}]) AS value,
         unnest(range(${wanted.length})) AS place, unnest([${kindOf.join(', ')}]) AS kind FROM ${relation}
     ) GROUP BY place`,
  );
  const counts = wanted.map(noCounts);
  for (const row of rows) {
    for (const test of asked) counts[Number(row['place'])]![test] = Number(row[test]);
  }
  return counts;
}
