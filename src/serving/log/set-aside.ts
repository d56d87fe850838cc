import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { ClosedSegment } from './segment-writer.ts';

export const REFUSED_FOLDER = 'refused';

/**
 * Keeps segments that the control plane refused for good, for people to look at. One that refuses everything must not
 * fill the disk: beyond `mostBytes` in all incarnations of the log folder `root`, they are removed.
 */
export function createRefusedSegments({ root, mostBytes }: { root: string; mostBytes: number }) {
  let keptBytes: number | undefined;

  return {
    /** Moves a segment aside in its folder; gives where to, or undefined when it was removed. */
    async setAside({ path, bytes }: ClosedSegment, folder: string): Promise<string | undefined> {
      keptBytes ??= await sizeOfKept(root);
      if (keptBytes + bytes > mostBytes) {
        await rm(path, { force: true });
        return undefined;
      }
      const aside = join(folder, REFUSED_FOLDER);
      await mkdir(aside, { recursive: true });
      await rename(path, join(aside, basename(path)));
      keptBytes += bytes;
      return aside;
    },
  };
}

async function sizeOfKept(root: string): Promise<number> {
  let sum = 0;
  for (const incarnation of await readdir(root)) {
    const aside = join(root, incarnation, REFUSED_FOLDER);
    for (const name of await readdir(aside).catch(() => [])) {
      sum += (await stat(join(aside, name)).catch(() => undefined))?.size ?? 0;
    }
  }
  return sum;
}
