import { createRequire } from 'node:module';
import type { RawBuilder } from 'kysely';
import type { DialectName } from './database.ts';

/**
 * The type of a text column that is sorted, or compared with < and >: by code point on both dialects, where PostgreSQL
 * would otherwise go by the server's language. `.addColumn('name', sortedText(dialect))`
 */
export function sortedText(dialect: DialectName): RawBuilder<unknown> {
  // Loaded here and not above: the model server loads this slice too, and has no database.
  const { sql } = createRequire(import.meta.url)('kysely') as typeof import('kysely');
  return dialect === 'postgres' ? sql`text collate "C"` : sql`text`;
}
