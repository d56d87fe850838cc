import type { Logger } from '../logging.ts';

/** How long after the start a database is looked at for edited migrations: nothing waits for it then. */
const LOOK_AFTER_MS = 3000;

/** The edited migrations, or why they could not be told. */
export type EditedLook = { edited: string[] } | { problem: string };

/** Says what `migrate` did. */
export function reportMigrations(applied: readonly string[], logger: Logger): void {
  if (applied.length > 0) logger.info({ migrations: applied }, 'the schema is brought up to date');
}

/** Looks for edited migrations a while after the start, and keeps no process alive for it. The answer takes the look back. */
export function lookForEdited(
  findEdited: () => Promise<string[]>,
  hear: (look: EditedLook) => void,
): () => void {
  let isOff = false;
  const tell = (look: EditedLook): void => {
    if (!isOff) hear(look);
  };
  const timer = setTimeout(() => {
    findEdited().then(
      (edited) => tell({ edited }),
      (error: unknown) => tell({ problem: error instanceof Error ? error.message : String(error) }),
    );
  }, LOOK_AFTER_MS).unref();
  return () => {
    isOff = true;
    clearTimeout(timer);
  };
}

/** Says what looks wrong; an edited migration stops nothing, it was applied long ago. */
export function reportEdited(look: EditedLook, logger: Logger): void {
  if ('problem' in look)
    logger.warn({ problem: look.problem }, 'whether migrations were edited after they ran could not be told');
  else if (look.edited.length > 0)
    logger.warn({ migrations: look.edited }, 'these migrations were edited after they ran on this database');
}
