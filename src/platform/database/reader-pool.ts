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

/** Spreads reads over threads: a read waits only while every thread is busy. Threads start when reads overlap. */
export function createReaderPool(options: { start: () => ThreadClient; most: number }) {
  const threads: ThreadClient[] = [];
  let queue: Read[] = [];
  let scheduled = false;

  function dispatch(): void {
    scheduled = false;
    while (queue.length > 0) {
      const idle = threads.find((thread) => thread.pending === 0) ?? startThread();
      if (idle === undefined) return;
      const share = Math.min(MOST_AT_ONCE, Math.ceil(queue.length / options.most));
      for (const read of queue.splice(0, share)) hand(idle, read);
    }
  }

  function startThread(): ThreadClient | undefined {
    if (threads.length >= options.most) return undefined;
    const thread = options.start();
    threads.push(thread);
    return thread;
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
      const refused = queue;
      queue = [];
      for (const read of refused) read.reject(reason);
      await Promise.all(threads.map((thread) => thread.close()));
    },
  };
}
