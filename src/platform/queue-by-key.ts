import { createWorkLimit } from './limit-work.ts';

/**
 * Runs the works that are given for one key one after the other; those of other keys do not wait for them. With
 * `waiting`, a work for whose key so many wait already is refused with TEMPORARILY_UNAVAILABLE. A work whose signal
 * aborts waits no longer.
 */
export function createKeyedQueue({ waiting = Number.POSITIVE_INFINITY, what = 'works' } = {}) {
  const queues = new Map<string, { limited: ReturnType<typeof createWorkLimit>; works: number }>();

  async function queued<T>(key: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const queue = queues.get(key) ?? { limited: createWorkLimit({ running: 1, waiting, what }), works: 0 };
    queues.set(key, queue);
    queue.works++;
    try {
      return await queue.limited(work, signal);
    } finally {
      queue.works--;
      if (queue.works === 0) queues.delete(key);
    }
  }

  return Object.assign(queued, {
    /** Keys that something runs or waits for. */
    keys: (): string[] => [...queues.keys()],
  });
}
