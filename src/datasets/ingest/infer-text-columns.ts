import { ApiError } from '../../platform/index.ts';
import type { DuckdbSession } from '../duckdb/duckdb-session.ts';
import type { DatasetColumnType } from '../table.ts';
import { type Counts, countPassing, numberText, present, testSql, trimmed } from './count-passing.ts';
import type { SourceColumn } from './source-table.ts';

/** A column that comes as text, and where its values are found. */
export interface TextColumn {
  name: string;
  /** SQL that gives the text. */
  sql: string;
  /** Types that the values may turn out to have; text always. */
  candidates: readonly ('number' | 'boolean' | 'datetime')[];
}

export interface InferTextRequest {
  session: DuckdbSession;
  relation: string;
  columns: readonly TextColumn[];
  sourceName: string;
  /** Whether 3,14 is a number: in files whose delimiter is a semicolon. */
  decimalComma: boolean;
  /** How many rows the relation has, where that is known. */
  rows?: number;
  /** The line of a row, counted from 0 below the header. */
  lineOfRow: (row: number) => Promise<number>;
}

const SAMPLE_ROWS = 10_000;

type Kind = 'number' | 'boolean' | 'datetime' | 'text';
/**
 * Decides the type of every text column over all rows. Where nearly all values are numbers (dates, truth values) and few are
 * not, throws `INVALID_PARAMETER_VALUE` with line, column and value; where many are not, the column is text and a note says so.
 */
export async function inferTextColumns(
  request: InferTextRequest,
): Promise<{ columns: SourceColumn[]; notes: string[] }> {
  const { columns } = request;
  const every: (keyof Counts)[] = [
    'number',
    'whole',
    'zeros',
    'wide',
    'infinite',
    'boolean',
    'datetime',
    'foreignDate',
  ];
  const sample = await countPassing(
    request,
    columns.map(({ sql }) => ({ sql, tests: every })),
    SAMPLE_ROWS,
  );
  const kinds = columns.map((column, index) => likelyKind(column, sample[index]!));
  const counted =
    request.rows !== undefined && request.rows <= SAMPLE_ROWS
      ? sample
      : await countPassing(
          request,
          columns.map(({ sql }, index) => ({ sql, tests: testsFor(kinds[index]!, every) })),
        );
  const notes: string[] = [];
  const inferred: SourceColumn[] = [];
  for (const [index, column] of columns.entries()) {
    const kind = kinds[index] ?? likelyKind(column, counted[index]!);
    const type = await decideType(request, column, kind, counted[index]!, notes);
    if (type === 'string' && (sample[index]?.foreignDate ?? 0) > 0.9 * (sample[index]?.present ?? 0)) {
      notes.push(
        `column ${JSON.stringify(column.name)} looks like dates and is kept as text: write dates as 2026-01-31`,
      );
    }
    inferred.push({ name: column.name, type, sql: castText(column.sql, type, request.decimalComma) });
  }
  return { columns: inferred, notes };
}

/** What is said when infinite numbers are taken as missing. */
export const infiniteNote = (name: string, count: number): string =>
  `column ${JSON.stringify(name)}: ${count} infinite ${count === 1 ? 'value is' : 'values are'} taken as missing`;

/** What most of the values look like; undefined where there are none to look at. */
function likelyKind(column: TextColumn, counts: Counts): Kind | undefined {
  if (counts.present === 0) return undefined;
  const best = column.candidates
    .map((kind) => ({ kind, count: counts[kind] }))
    .sort((a, b) => b.count - a.count)[0];
  return best && best.count * 2 >= counts.present ? best.kind : 'text';
}

function testsFor(kind: Kind | undefined, every: (keyof Counts)[]): (keyof Counts)[] {
  if (kind === undefined) return every;
  if (kind === 'text') return [];
  return kind === 'number' ? ['number', 'whole', 'zeros', 'wide', 'infinite'] : [kind];
}

const WHAT = { number: 'a number', boolean: 'true or false', datetime: 'a date' };

async function decideType(
  request: InferTextRequest,
  column: TextColumn,
  kind: Kind | undefined,
  counts: Counts,
  notes: string[],
): Promise<DatasetColumnType> {
  const label = `column ${JSON.stringify(column.name)}`;
  if (kind === undefined) {
    if (counts.filled === 0) notes.push(`${label} has no values`);
    else notes.push(`${label} has only texts that mean "missing" in a column of numbers; it is kept as text`);
    return 'string';
  }
  if (kind === 'text') return 'string';
  if (kind === 'number' && counts.zeros > 0) {
    notes.push(`${label} has numbers that begin with 0, as codes do; it is kept as text`);
    return 'string';
  }
  if (kind === 'number' && counts.wide > 0 && counts.whole === counts.number) {
    notes.push(`${label} has whole numbers of more than 64 bits; it is kept as text`);
    return 'string';
  }
  const good = counts[kind];
  const bad = counts.present - good;
  if (bad === 0) {
    if (kind !== 'number') return kind;
    if (counts.infinite > 0) notes.push(infiniteNote(column.name, counts.infinite));
    return counts.whole === good ? 'long' : 'double';
  }
  const first = await findFirstBad(request, column, kind);
  const few = good >= 2 && bad <= Math.max(1, 0.05 * counts.present);
  if (few) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${request.sourceName}, line ${first.line}, column ${JSON.stringify(column.name)}: ${shorten(first.value)} is not ${WHAT[kind]}, ` +
        `as ${good} of the ${counts.present} values are; correct it, or say that the column is text (--text)`,
      { line: first.line, column: column.name, value: first.value.slice(0, 200) },
    );
  }
  notes.push(
    `${label} is text: ${bad} of its ${counts.present} values are not ${WHAT[kind]}, the first ${shorten(first.value)} on line ${first.line}`,
  );
  return 'string';
}

async function findFirstBad(
  { session, relation, decimalComma, lineOfRow }: InferTextRequest,
  column: TextColumn,
  kind: Exclude<Kind, 'text'>,
): Promise<{ line: number; value: string }> {
  const bad = `${present(column.sql)} AND NOT (${testSql(kind, column.sql, decimalComma)})`;
  const row = await session.row(
    `SELECT min(position) AS position, arg_min(value, position) AS value
     FROM (SELECT row_number() OVER () - 1 AS position, ${column.sql} AS value, (${bad}) AS bad FROM ${relation}) WHERE bad`,
  );
  return { line: await lineOfRow(Number(row['position'])), value: String(row['value']) };
}

/** A value as messages show it: quoted, and not longer than a line. */
export function shorten(value: string): string {
  return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
}

function castText(sql: string, type: DatasetColumnType, decimalComma: boolean): string {
  const given = (cast: string) => `CASE WHEN ${present(sql)} THEN ${cast} END`;
  switch (type) {
    case 'string':
      return sql;
    case 'long':
      return given(`TRY_CAST(${trimmed(sql)} AS BIGINT)`);
    case 'double': {
      const value = `TRY_CAST(${numberText(sql, decimalComma)} AS DOUBLE)`;
      return given(`CASE WHEN isfinite(${value}) THEN ${value} END`);
    }
    case 'boolean':
      return given(`lower(${trimmed(sql)}) = 'true'`);
    case 'datetime':
      return given(`CAST(TRY_CAST(${trimmed(sql)} AS TIMESTAMPTZ) AS TIMESTAMP)`);
  }
}
