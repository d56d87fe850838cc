import { rm } from 'node:fs/promises';
import { createWorkLimit } from '../../../platform/index.ts';
import type { AskLog } from '../log-client.ts';
import type { SharedLog } from '../log-messages.ts';

/** What users' queries read: taken by each, removed when a newer one is there and nobody reads it any more. */
export function createSharedRows({ ask, folder }: { ask: AskLog; folder: string }) {
  const oneByOne = createWorkLimit({ running: 1, waiting: Number.POSITIVE_INFINITY, what: 'looks' });
  const readers = new Map<SharedLog, number>();
  let newest: SharedLog | undefined;

  async function removeIfUnread(shared: SharedLog): Promise<void> {
    if (shared === newest || readers.has(shared)) return;
    await rm(shared.folder, { recursive: true, force: true });
  }

  async function look(): Promise<SharedLog> {
    const known = newest;
    const shared = await ask('share', { folder, ...(known && { known: known.revision }) });
    if (shared) {
      newest = shared;
      if (known) await removeIfUnread(known);
    }
    return newest!;
  }

  return {
    /** All that was taken so far stays readable until `work` is over. */
    read<T>(work: (shared: SharedLog) => Promise<T>, signal?: AbortSignal): Promise<T> {
      return (async () => {
        const shared = await oneByOne(async () => {
          const found = await look();
          readers.set(found, (readers.get(found) ?? 0) + 1);
          return found;
        }, signal);
        try {
          return await work(shared);
        } finally {
          const left = readers.get(shared)! - 1;
          if (left > 0) readers.set(shared, left);
          else readers.delete(shared);
          await removeIfUnread(shared);
        }
      })();
    },

    /** Something of it is gone: the next look takes a new one. */
    async renew(): Promise<void> {
      const old = newest;
      newest = undefined;
      if (old) await removeIfUnread(old);
    },
  };
}

export type SharedRows = ReturnType<typeof createSharedRows>;
