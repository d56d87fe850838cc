import type { Logger } from '../logging.ts';

/** How long after the start a database is looked at for edited migrations: nothing waits for it then. */
export const EDITED_AFTER_MS = 3000;

/** Says what `migrate` did. */
export function reportMigrations(applied: readonly string[], logger: Logger): void {
  if (applied.length > 0) logger.info({ migrations: applied }, 'the schema is brought up to date');
}

/** Says what looks wrong; an edited migration stops nothing, it was applied long ago. */
export function reportEdited(edited: readonly string[], logger: Logger): void {
  if (edited.length > 0)
    logger.warn({ migrations: edited }, 'these migrations were edited after they ran on this database');
}
