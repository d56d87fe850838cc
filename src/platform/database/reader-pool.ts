import type { SqlResult } from './sqlite-connection.ts';
import type { ThreadClient } from './thread-client.ts';

/** Reads handed to one thread at once: few, because a slow one holds up those behind it. */
const MOST_AT_ONCE = 4;

interface Read {
  sql: string;
  parameters: readonly unknown[];
  resolve: (result: SqlResult) => void;
  reject: (error: Error) => void;
}

/** How long reads wait for the threads there are before another one starts. */
const PATIENCE_MS = 50;

/**
 * Spreads reads over threads: a read waits only while every thread is busy. The first starts at once, before it is
 * asked; another when reads have waited for a while, because the start of a thread costs more than most reads.
 */
export function createReaderPool(options: { start: () => ThreadClient; most: number; patienceMs?: number }) {
  const { patienceMs = PATIENCE_MS } = options;
  const threads: ThreadClient[] = [options.start()];
  let impatient: NodeJS.Timeout | undefined;
  let queue: Read[] = [];
  let scheduled = false;

  function dispatch(): void {
    scheduled = false;
    while (queue.length > 0) {
      const idle = threads.find((thread) => thread.pending === 0);
      if (idle === undefined) {
        growLater();
        return;
      }
      const share = Math.min(MOST_AT_ONCE, Math.ceil(queue.length / options.most));
      for (const read of queue.splice(0, share)) hand(idle, read);
    }
  }

  function growLater(): void {
    if (threads.length >= options.most) return;
    impatient ??= setTimeout(() => {
      impatient = undefined;
      if (queue.length === 0) return;
      threads.push(options.start());
      dispatch();
    }, patienceMs).unref();
  }

  function hand(thread: ThreadClient, { sql, parameters, resolve, reject }: Read): void {
    thread
      .call({ sql, parameters })
      .then((result) => resolve(result as SqlResult), reject)
      .finally(() => {
        if (thread.pending === 0) dispatch();
      });
  }

  return {
    run(sql: string, parameters: readonly unknown[]): Promise<SqlResult> {
      return new Promise((resolve, reject) => {
        queue.push({ sql, parameters, resolve, reject });
        if (scheduled) return;
        scheduled = true;
        setImmediate(dispatch);
      });
    },
    /** Reads under way are answered, those that still wait are refused with `reason`. */
    async close(reason: Error): Promise<void> {
      clearTimeout(impatient);
      const refused = queue;
      queue = [];
      for (const read of refused) read.reject(reason);
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}
