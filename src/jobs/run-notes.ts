import { clean } from './store/job-error.ts';
import type { Notes } from './store/step-commands.ts';

const MAX_LINE_CHARS = 4000;
/** Lines that wait to be written; more than that in a quarter of a second nobody reads. */
const MAX_WAITING = 2000;
const FLUSH_MS = 250;
/** Of one run, the newest lines are kept. */
export const KEPT_LINES = 5000;

export type RunNotes = ReturnType<typeof createRunNotes>;

/** Collects the log lines and the progress of a run's steps, and hands them to `write` four times a second. */
export function createRunNotes(now: () => number, write: (notes: Notes) => Promise<void>) {
  let lines: Notes['lines'] = [];
  let dropped = 0;
  const progress = new Map<string, Notes['progress'][number]>();
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> | undefined;

  function take(): Notes {
    clearTimeout(timer);
    timer = undefined;
    const taken = lines;
    const last = taken.at(-1);
    if (dropped > 0 && last !== undefined) {
      taken.push({ ...last, text: `(${dropped} more lines came too fast to be kept)` });
    }
    const notes = { now: now(), lines: taken, progress: [...progress.values()], keepLines: KEPT_LINES };
    lines = [];
    dropped = 0;
    progress.clear();
    return notes;
  }

  const schedule = () => {
    timer ??= setTimeout(() => {
      timer = undefined;
      // One write after the other: lines keep their order.
      if (writing !== undefined) return schedule();
      writing = write(take())
        .catch(() => {})
        .finally(() => {
          writing = undefined;
        });
    }, FLUSH_MS);
    timer.unref();
  };

  return {
    log(step: string, attempt: number, text: string): void {
      for (const line of text.split(/\r?\n/)) {
        if (lines.length >= MAX_WAITING) dropped++;
        else lines.push({ step, attempt, at: now(), text: clean(line).slice(0, MAX_LINE_CHARS) });
      }
      schedule();
    },

    progress(step: string, done: number, note: string | undefined): void {
      const share = Math.min(1, Math.max(0, Number.isFinite(done) ? done : 0));
      progress.set(step, { step, done: share, note: note === undefined ? null : clean(note).slice(0, 200) });
      schedule();
    },

    /** What has not been written yet, after what is being written. */
    async takeAll(): Promise<Notes> {
      await writing;
      return take();
    },

    stop(): void {
      clearTimeout(timer);
    },
  };
}
