import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Logger, MOST_AHEAD_MS, systemClock } from '../../platform/index.ts';
import { writeAtomically } from '../versions/model-cache.ts';
import { inspectSegment, newer } from './inspect-segment.ts';
import type { LeftOver } from './log-folder.ts';

const FILE = 'event-time';

/**
 * The newest event time that servers of this log folder knew, for a clock that follows events: one that began anew
 * would date the next prediction by the machine's clock, years after the events, and the platform's clock with it.
 */
export function createEventTimeKeeper(root: string, logger: Logger) {
  const path = join(root, FILE);

  async function read(): Promise<number | null> {
    const text = await readFile(path, 'utf8').catch(() => '');
    return /^-?\d+$/.test(text.trim()) ? Number(text) : null;
  }

  async function keep(newest: number): Promise<void> {
    try {
      const known = await read();
      if (known === null || newest > known) await writeAtomically(path, `${newest}\n`);
    } catch (error) {
      logger.warn({ err: error }, 'the newest event time could not be kept for the next start');
    }
  }

  return {
    keep,

    /** What was kept, or is in what dead servers left, whose snapshots say `watermark`. Kept before those go. */
    async find(leftOvers: readonly LeftOver[], watermark: number | null): Promise<number | null> {
      let newest = newer(await read(), watermark);
      for (const segment of leftOvers.flatMap(({ segments }) => segments)) {
        const inspected = await inspectSegment(segment);
        segment.newest = inspected?.newest ?? null;
        const known = newest ?? systemClock.now();
        const isMistake = segment.newest !== null && segment.newest - known > MOST_AHEAD_MS;
        if (!isMistake) newest = newer(newest, segment.newest);
      }
      if (newest !== null) await keep(newest);
      return newest;
    },
  };
}
