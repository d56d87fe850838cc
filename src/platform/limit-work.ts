import { ApiError } from './errors.ts';

export interface WorkLimits {
  running: number;
  waiting: number;
  /** What the works are on, as the refusal names it. */
  what: string;
}

/**
 * Lets so many works run at once and so many wait. A further one is refused with TEMPORARILY_UNAVAILABLE, since its
 * client is better off trying again; one whose signal aborts waits no longer.
 */
export function createWorkLimit({ running, waiting, what }: WorkLimits) {
  let active = 0;
  const queue: (() => void)[] = [];

  function takeTurn(signal: AbortSignal | undefined): Promise<void> {
    if (active < running) {
      active++;
      return Promise.resolve();
    }
    if (queue.length >= waiting) {
      throw new ApiError(
        'TEMPORARILY_UNAVAILABLE',
        `${active + queue.length} ${what} are being worked on or wait; try again later`,
      );
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        queue.splice(queue.indexOf(go), 1);
        reject(signal?.reason as Error);
      };
      const go = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      queue.push(go);
      signal?.addEventListener('abort', leave, { once: true });
    });
  }

  return async function limited<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    await takeTurn(signal);
    try {
      return await work();
    } finally {
      const next = queue.shift();
      if (next) next();
      else active--;
    }
  };
}
