import { createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

/** Writes a body to a new temporary file, through to the disk, and tells its size and sha256. Leaves nothing on failure. */
export async function writeTemporary(
  folder: string,
  body: Readable | Uint8Array,
): Promise<{ file: string; sizeBytes: number; sha256: string }> {
  const file = path.join(folder, `${process.pid}-${randomBytes(9).toString('hex')}`);
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const source = body instanceof Uint8Array ? Readable.from([body], { objectMode: false }) : body;
  try {
    await pipeline(
      source,
      async function* count(chunks: AsyncIterable<Uint8Array>) {
        for await (const chunk of chunks) {
          hash.update(chunk);
          sizeBytes += chunk.length;
          yield chunk;
        }
      },
      createWriteStream(file, { flags: 'wx', mode: 0o444, flush: true }),
    );
  } catch (error) {
    await rm(file, { force: true });
    throw error;
  }
  return { file, sizeBytes, sha256: hash.digest('hex') };
}

/** Moves a file to its place, through to the disk; folders are made. */
export async function moveDurably(from: string, to: string): Promise<void> {
  const folder = path.dirname(to);
  for (let attempt = 1; ; attempt++) {
    await makeFolder(folder);
    try {
      await rename(from, to);
      break;
    } catch (error) {
      // A deletion may remove the folder that has just become empty.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || attempt === 5) throw error;
    }
  }
  await syncFolder(folder);
}

/** Makes a folder and its parents, each entered durably into its parent. */
async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let at = folder; at.length >= first.length; at = path.dirname(at)) await syncFolder(path.dirname(at));
}

export async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return; // Folders cannot be opened there.
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

const ABANDONED_AFTER_MS = 24 * 3600 * 1000;

/** Removes temporary files that a dead process left; those of living processes are still being written. */
export async function removeOrphans(folder: string, now: number): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    const info = await stat(file).catch(() => undefined);
    if (info === undefined) continue;
    const pid = Number(name.split('-', 1)[0]);
    if (isAlive(pid) && now - info.mtimeMs < ABANDONED_AFTER_MS) continue;
    await rm(file, { force: true });
    removed++;
  }
  return removed;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
