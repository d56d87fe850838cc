import type { Logger } from '../logging.ts';

export interface AppliedMigrations {
  applied: string[];
  /** Ids whose statements differ from those that ran on this database. */
  edited: string[];
}

/** Says what `migrate` did and what looks wrong; an edited migration does not stop the start, it was applied long ago. */
export function reportMigrations({ applied, edited }: AppliedMigrations, logger: Logger): void {
  if (applied.length > 0) logger.info({ migrations: applied }, 'the schema is brought up to date');
  if (edited.length > 0)
    logger.warn({ migrations: edited }, 'these migrations were edited after they ran on this database');
}
