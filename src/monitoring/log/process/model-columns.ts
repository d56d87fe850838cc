import type { ColumnType } from '../../../models/index.ts';
import { jsonPointer, literal } from './quote-sql.ts';

/**
 * Columns of logged rows, typed, as SQL. `source` is a relation with a column `features`; each row's JSON is parsed once, into
 * a list that the columns are taken from.
 */
export function featureColumns(
  columns: readonly { name: string; type: ColumnType }[],
  source: string,
): { relation: string; expressions: string[] } {
  if (columns.length === 0) return { relation: source, expressions: [] };
  const pointers = columns.map(({ name }) => literal(jsonPointer(name))).join(', ');
  return {
    relation: `(SELECT *, json_extract_string(features, [${pointers}]) AS found FROM ${source})`,
    expressions: columns.map(({ type }, index) => typedSql(`found[${index + 1}]`, type)),
  };
}

/** A value that came as JSON, as its column's type; what is none of it is NULL. */
export function typedSql(text: string, type: ColumnType): string {
  switch (type) {
    case 'string':
      return text;
    case 'double':
      return `CASE WHEN isfinite(${truthNumber(text)}) THEN ${truthNumber(text)} END`;
    case 'long':
      return `coalesce(TRY_CAST(${text} AS BIGINT), TRY_CAST(TRY_CAST(${text} AS DOUBLE) AS BIGINT), CASE ${text} WHEN 'true' THEN 1 WHEN 'false' THEN 0 END)`;
    case 'boolean':
      return `TRY_CAST(${text} AS BOOLEAN)`;
    case 'datetime':
      // As requests take moments: ISO text, without an offset in UTC, or milliseconds since 1970.
      return `CASE WHEN TRY_CAST(${text} AS DOUBLE) IS NOT NULL THEN epoch_ms(TRY_CAST(TRY_CAST(${text} AS DOUBLE) AS BIGINT)) ELSE TRY_CAST(${text} AS TIMESTAMP) END`;
  }
}

const truthNumber = (text: string): string =>
  `coalesce(TRY_CAST(${text} AS DOUBLE), CASE ${text} WHEN 'true' THEN 1.0 WHEN 'false' THEN 0.0 END)`;
