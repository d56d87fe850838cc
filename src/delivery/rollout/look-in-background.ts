import type { Logger } from '../../platform/index.ts';

export type Looked<T> = { result: T } | { error: Error };

interface Look {
  stop: AbortController;
  looked: Looked<unknown> | undefined;
}

/**
 * Looks that take long, each under a key of its own and once at a time: the loop goes on meanwhile, and finds what they
 * saw in a later pass. A look counts as under way until somebody has dropped what it saw.
 */
export function createBackgroundLooks({
  onChange,
  logger,
}: {
  /** Told when a look has ended. */
  onChange?: (() => void) | undefined;
  logger?: Logger | undefined;
}) {
  const looks = new Map<string, Look>();
  let isClosed = false;

  function drop(key: string): void {
    const look = looks.get(key);
    looks.delete(key);
    look?.stop.abort(new Error('what was looked at is over'));
  }

  return {
    begin(key: string, look: (signal: AbortSignal) => Promise<unknown>): void {
      if (isClosed || looks.has(key)) return;
      const begun: Look = { stop: new AbortController(), looked: undefined };
      looks.set(key, begun);
      const end = (looked: Looked<unknown>) => {
        if (looks.get(key) !== begun) return;
        begun.looked = looked;
        onChange?.();
      };
      look(begun.stop.signal).then(
        (result) => end({ result }),
        (error: unknown) => {
          if (looks.get(key) === begun)
            logger?.warn({ err: error, look: key }, 'labels not looked at; it is tried again');
          end({ error: error instanceof Error ? error : new Error(String(error)) });
        },
      );
    },
    has: (key: string): boolean => looks.has(key),
    /** What a look saw, as often as it is asked for; undefined while it goes on. */
    find: <T>(key: string): Looked<T> | undefined => looks.get(key)?.looked as Looked<T> | undefined,
    /** Forgets a look, and ends it. */
    drop,
    dropOthers(keys: ReadonlySet<string>): void {
      for (const key of looks.keys()) if (!keys.has(key)) drop(key);
    },
    isAny: (): boolean => looks.size > 0,
    close(): void {
      isClosed = true;
      for (const key of looks.keys()) drop(key);
    },
  };
}
