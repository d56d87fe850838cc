import { type RawBuilder, sql } from 'kysely';
import type { DialectName } from './database.ts';

/**
 * The type of a text column that is sorted, or compared with < and >: by code point on both dialects, where PostgreSQL
 * would otherwise go by the server's language. `.addColumn('name', sortedText(dialect))`
 */
export function sortedText(dialect: DialectName): RawBuilder<unknown> {
  return dialect === 'postgres' ? sql`text collate "C"` : sql`text`;
}
