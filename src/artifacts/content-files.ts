import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { createKeyedQueue } from '../platform/index.ts';
import { moveDurably } from './durable-files.ts';

/** The folder `objects/sha256/`: each content once, under its hash. */
export function createContentFiles(folder: string) {
  const locked = createKeyedQueue();
  /** Contents that a put is about to name, and those named since a sweep began: a sweep leaves them. */
  const arriving = new Map<string, number>();
  let touched: Set<string> | undefined;
  let sweeping: Promise<unknown> = Promise.resolve();

  const pathOf = (sha256: string): string => path.join(folder, sha256.slice(0, 2), sha256.slice(2));

  /** Puts a written file in its place, then lets `name` name it. */
  async function keep(written: { file: string; sha256: string }, name: () => Promise<void>): Promise<void> {
    const { sha256 } = written;
    touched?.add(sha256);
    arriving.set(sha256, (arriving.get(sha256) ?? 0) + 1);
    try {
      // Also over the same content, which heals a damaged one.
      await locked(sha256, () => moveDurably(written.file, pathOf(sha256)));
      await name();
    } finally {
      const left = (arriving.get(sha256) ?? 1) - 1;
      if (left > 0) arriving.set(sha256, left);
      else arriving.delete(sha256);
    }
  }

  /** Removes those of the candidates that no key names, by what `named` finds; gives how many. */
  function sweep(
    candidates: () => Promise<Set<string>>,
    named: () => AsyncIterable<string>,
  ): Promise<number> {
    const run = sweeping.then(async () => {
      touched = new Set(arriving.keys());
      try {
        const orphans = await candidates();
        if (orphans.size > 0) for await (const sha256 of named()) orphans.delete(sha256);
        let removed = 0;
        for (const sha256 of orphans) {
          await locked(sha256, async () => {
            if (touched?.has(sha256) || arriving.has(sha256)) return;
            await rm(pathOf(sha256), { force: true });
            removed++;
          });
        }
        return removed;
      } finally {
        touched = undefined;
      }
    });
    sweeping = run.catch(() => {});
    return run;
  }

  async function all(): Promise<Set<string>> {
    const found = new Set<string>();
    for (const start of await readdir(folder)) {
      for (const rest of await readdir(path.join(folder, start))) found.add(start + rest);
    }
    return found;
  }

  return { pathOf, keep, sweep, all };
}
