import { createRequire } from 'node:module';
import { ApiError } from '../platform/index.ts';

const RIGHT =
  "it has five fields (minute hour day month weekday), such as '0 3 * * 1' for Mondays at three, or a name such as @daily";

/**
 * The first time after `afterMs` that the expression names in the time zone (`UTC`, `Europe/Berlin`), in milliseconds
 * since the epoch. A time that the change to summer time leaves out is taken at the end of the
 * gap; one that the change to winter time repeats counts once, the first time.
 *
 * @throws ApiError INVALID_PARAMETER_VALUE when the expression or the time zone is none, or when it never comes (30 February).
 */
export function nextCronTime(expression: string, timeZone: string, afterMs: number): number {
  const next = parse(expression, timeZone).nextRun(new Date(afterMs));
  if (next === null) throw refuse(expression, 'it names a time that never comes');
  return next.getTime();
}

/** @throws ApiError INVALID_PARAMETER_VALUE that names what is wrong and what would be right. */
export function checkCron(expression: string, timeZone = 'UTC'): void {
  nextCronTime(expression, timeZone, Date.UTC(2026, 0, 1));
}

function parse(expression: string, timeZone: string) {
  try {
    new Intl.DateTimeFormat('en', { timeZone });
  } catch {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `'${timeZone}' is no time zone: name one of the IANA database, such as 'UTC' or 'Europe/Berlin'`,
    );
  }
  // Loaded when a schedule is read: most processes know none.
  const { Cron } = createRequire(import.meta.url)('croner') as typeof import('croner');
  const text = expression.trim();
  if (!text.startsWith('@') && text.split(/\s+/).length !== 5) throw refuse(expression, RIGHT);
  try {
    return new Cron(text, {
      paused: true,
      timezone: timeZone,
      ...(!text.startsWith('@') && { mode: '5-part' as const }),
    });
  } catch (error) {
    throw refuse(expression, `${(error as Error).message.replace(/^CronPattern: /, '')}; ${RIGHT}`);
  }
}

const refuse = (expression: string, why: string) =>
  new ApiError('INVALID_PARAMETER_VALUE', `'${expression}' is no schedule: ${why}`);
