import { createWorkLimit, type Logger } from '../../../platform/index.ts';
import type { LogCatalog } from '../log-catalog.ts';
import type { SegmentFiling } from './file-segments.ts';

/** Segments are filed when there are so many of them, or so many bytes, or when the first has waited so long. */
export interface FilingLimits {
  segments: number;
  sizeBytes: number;
  waitMs: number;
}

export const FILING_LIMITS: FilingLimits = { segments: 250, sizeBytes: 32 * 2 ** 20, waitMs: 60_000 };

/** Decides when segments are loaded and filed: soon, but not each on its own, and never while somebody waits for it. */
export function createFilingSchedule(deps: {
  catalog: LogCatalog;
  filing: SegmentFiling;
  logger: Logger;
  limits: FilingLimits;
  started: Promise<unknown>;
}) {
  const { catalog, filing, logger, limits, started } = deps;
  const changing = createWorkLimit({ running: 1, waiting: 100, what: 'changes of the prediction log' });
  const running = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | undefined;
  let isPrefetching = false;
  let isClosed = false;

  async function compact(): Promise<{ filed: number; merged: number }> {
    await started;
    clearTimeout(timer);
    timer = undefined;
    return changing(async () => {
      let filed = 0;
      for (;;) {
        filed += await filing.fileBatches();
        if (catalog.backlog().segments < limits.segments) break;
      }
      const merged = await filing.mergeFiles();
      await filing.applyRetention();
      await filing.collectGarbage();
      await filing.dropOldNames();
      return { filed, merged };
    });
  }

  function inBackground(work: () => Promise<unknown>, failed: string): void {
    const run = work()
      .catch((error: unknown) => {
        if (!isClosed) logger.error({ err: error }, failed);
      })
      .then(() => void running.delete(run));
    running.add(run);
  }

  function fileLater(waitMs = limits.waitMs): void {
    if (timer !== undefined || isClosed) return;
    timer = setTimeout(() => {
      timer = undefined;
      inBackground(async () => {
        try {
          await compact();
        } catch (error) {
          fileLater();
          throw error;
        }
      }, 'segments could not be filed; they are kept, and filing is tried again');
    }, waitMs);
    timer.unref();
  }

  return {
    /** Changes of the files go one after the other. */
    changing,

    /** Files what is new, merges small files, drops old ones, removes what nothing names. */
    compact,

    fileLater: () => fileLater(),

    /** Lets the process load new segments before somebody asks, and has them filed when they are many. */
    prefetch(): void {
      if (isPrefetching || isClosed) return;
      isPrefetching = true;
      inBackground(async () => {
        await started;
        isPrefetching = false;
        const { isComplete } = await catalog.sync();
        const { segments, sizeBytes } = catalog.backlog();
        const isMuch = !isComplete || segments >= limits.segments || sizeBytes >= limits.sizeBytes;
        if (isMuch) {
          clearTimeout(timer);
          timer = undefined;
        }
        fileLater(isMuch ? 0 : limits.waitMs);
      }, 'new segments could not be loaded');
    },

    /** Starts nothing more; `finished` is when what runs has ended. */
    close(): { finished: Promise<unknown> } {
      isClosed = true;
      clearTimeout(timer);
      return { finished: Promise.all(running) };
    },
  };
}
