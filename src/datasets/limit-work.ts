import { ApiError } from '../platform/index.ts';

/** Lets so many works run at once and so many wait; a further one is refused, since its client is better off trying again. */
export function createWorkLimit({ running, waiting }: { running: number; waiting: number }) {
  let active = 0;
  const queue: (() => void)[] = [];
  return async function limited<T>(work: () => Promise<T>): Promise<T> {
    if (active >= running) {
      if (queue.length >= waiting) {
        throw new ApiError(
          'TEMPORARILY_UNAVAILABLE',
          `${active + queue.length} tables are being processed; try again later`,
        );
      }
      await new Promise<void>((go) => queue.push(go));
    } else active++;
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next) next();
      else active--;
    }
  };
}
