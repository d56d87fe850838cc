import { createHash } from 'node:crypto';
import { ApiError, type Clock } from '../../../platform/index.ts';
import type { LogCatalog } from '../log-catalog.ts';
import type { LogClient } from '../log-client.ts';
import type { SegmentFiling } from './file-segments.ts';
import { isConflict } from './file-segments.ts';

export interface ForgetRows {
  /** Only of this model. */
  model?: string;
  /** A logged column, or `@key`: what the split was drawn by. */
  column: string;
  value: string;
  actor: string;
  reason: string;
}

export interface Forgotten {
  /** Files that were written anew or removed. */
  files: number;
  predictions: number;
  labels: number;
  /** Lines that were no log entries, and held the value. */
  setAside: number;
}

const ATTEMPTS = 5;

/**
 * Takes the predictions with a value out of every file, with their labels. The audit says who did it, why, and to how many; the
 * value itself it does not, since that is what is to be forgotten, but its digest, by which it can be recognised.
 */
export async function forgetRows(
  deps: { client: LogClient; catalog: LogCatalog; filing: SegmentFiling; clock: Clock },
  request: ForgetRows,
): Promise<Forgotten> {
  const { client, catalog, filing, clock } = deps;
  const { model, column, value, actor, reason } = request;
  for (let attempt = 1; ; attempt++) {
    // What has arrived before goes into the files first.
    await filing.fileBatches();
    const { start } = await catalog.sync();
    const files = new Map(catalog.files().map((file) => [catalog.pathOf(file.id), file]));
    try {
      const { written } = await filing.change(
        (folder) =>
          client.call('forget', { ...(model !== undefined && { model }), column, value, folder }, { start }),
        ({ rewritten, removed, setAside }) => {
          const predictions = sum(removed.map((each) => each.predictions));
          const labels = sum(removed.map((each) => each.labels));
          return {
            remove: rewritten.map(({ path }) => files.get(path)!.id),
            files: rewritten.flatMap(({ path, left }) =>
              left ? [{ ...left, createdAt: files.get(path)!.createdAt }] : [],
            ),
            drops: removed.map((each) => ({
              model: each.model,
              cause: 'forgotten' as const,
              rows: each.predictions,
            })),
            audit: {
              at: clock.now(),
              actor,
              action: 'log.forget',
              subject: model === undefined ? 'log' : `models/${model}`,
              reason,
              evidence: {
                column,
                value_sha256: createHash('sha256').update(value).digest('hex'),
                predictions,
                labels,
                set_aside: setAside,
                files: rewritten.length,
              },
            },
          };
        },
      );
      // The bytes go now, not at the next opportunity; and so does the process, which keeps parts of files in memory.
      await filing.collectGarbage({ atOnce: true });
      await filing.removeFiledSegments();
      await client.stop();
      return {
        files: written.rewritten.length,
        predictions: sum(written.removed.map((each) => each.predictions)),
        labels: sum(written.removed.map((each) => each.labels)),
        setAside: written.setAside,
      };
    } catch (error) {
      if (!isConflict(error)) throw error;
      if (attempt === ATTEMPTS) {
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          'Other servers keep changing the log; try again',
          undefined,
          {
            cause: error,
          },
        );
      }
    }
  }
}

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);
