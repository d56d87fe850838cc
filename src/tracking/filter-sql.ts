import { type RawBuilder, sql } from 'kysely';
import { ApiError, type DialectName } from '../platform/index.ts';
import type { Comparison } from './parse-filter.ts';

const NUMERIC = new Set(['=', '!=', '>', '>=', '<', '<=']);

/** A comparison of a text column: = != LIKE ILIKE [NOT] IN, in SQL that both dialects read alike. */
export function compareText(
  dialect: DialectName,
  column: RawBuilder<unknown>,
  comparison: Comparison,
): RawBuilder<boolean> {
  const { operator, value } = comparison;
  if (operator === 'IN' || operator === 'NOT IN') {
    const texts = (value as (string | number)[]).map((each) => requireText(comparison, each));
    const list = sql.join(texts);
    return operator === 'IN'
      ? sql<boolean>`${column} in (${list})`
      : sql<boolean>`${column} not in (${list})`;
  }
  const text = requireText(comparison, value);
  if (operator === '=') return sql<boolean>`${column} = ${text}`;
  if (operator === '!=') return sql<boolean>`${column} <> ${text}`;
  if (operator === 'LIKE') {
    return dialect === 'sqlite'
      ? sql<boolean>`${column} glob ${likeToGlob(text)}`
      : sql<boolean>`${column} like ${text} escape ''`;
  }
  if (operator === 'ILIKE') {
    return dialect === 'sqlite'
      ? sql<boolean>`lower(${column}) like ${text.toLowerCase()}`
      : sql<boolean>`${column} ilike ${text} escape ''`;
  }
  throw refused(comparison, `text is compared by =, !=, LIKE, ILIKE or IN, not by ${operator}`);
}

/** A comparison of a number or a time. */
export function compareNumber(column: RawBuilder<unknown>, comparison: Comparison): RawBuilder<boolean> {
  const { operator, value } = comparison;
  if (!NUMERIC.has(operator)) {
    throw refused(comparison, `numbers are compared by =, !=, >, >=, < or <=, not by ${operator}`);
  }
  const number = typeof value === 'number' ? value : Number.NaN;
  if (Number.isNaN(number))
    throw refused(comparison, `the value must be a number without quotes, got '${String(value)}'`);
  return sql<boolean>`${column} ${sql.raw(operator === '!=' ? '<>' : operator)} ${number}`;
}

function requireText(comparison: Comparison, value: unknown): string {
  if (typeof value === 'string') return value;
  throw refused(comparison, `the value must be a text in quotes, got ${String(value)}`);
}

/** SQLite's LIKE ignores case, its GLOB does not. */
function likeToGlob(pattern: string): string {
  return pattern
    .replace(/[*?[\]]/g, '[$&]')
    .replaceAll('%', '*')
    .replaceAll('_', '?');
}

/** How the offending comparison is shown in an error. */
export function refused(
  comparison: { qualifier: string | undefined; key: string },
  reason: string,
): ApiError {
  const name = comparison.qualifier ? `${comparison.qualifier}.${comparison.key}` : comparison.key;
  return new ApiError('INVALID_PARAMETER_VALUE', `Invalid filter on '${name}': ${reason}`);
}
