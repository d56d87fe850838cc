import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  chmod,
  constants,
  copyFile,
  mkdir,
  open,
  readdir,
  readFile,
  stat,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, relative, sep } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { ApiError } from './platform/index.ts';

export interface CopiedArtifacts {
  /** Keys and contents together; a content that several keys have counts once. */
  files: number;
  size_bytes: number;
}

export type OnProgress = (done: { files: number; sizeBytes: number }) => void;

/** What `refs/<key>` holds; the same as the artifact store writes. */
const pointerSchema = z.object({ sha256: z.string().regex(/^[0-9a-f]{64}$/), size: z.int() });

/** How often a key is looked at again whose content went away between the two looks. */
const ATTEMPTS_WHILE_WRITTEN = 50;

/**
 * Copies the artifact store in `from`, which others may be writing to: every key that is there from begin to end, with
 * the content that it had at one moment of the copy. A key is written after its content is on disk; one that is
 * replaced meanwhile is read again, one that is deleted meanwhile is left out. Contents without a key stay behind.
 *
 * @throws ApiError INVALID_STATE, naming the key, when its content is missing or cut off.
 */
export function copyLiveArtifacts(from: string, to: string, onProgress?: OnProgress) {
  return copyArtifacts({ from, to, attempts: ATTEMPTS_WHILE_WRITTEN, verify: false, onProgress });
}

/**
 * Copies an artifact store that nobody writes to, and compares each content with its sha256.
 *
 * @throws ApiError INVALID_STATE, naming the key, when its content is missing or is not what it was.
 */
export function copyBackedUpArtifacts(from: string, to: string, onProgress?: OnProgress) {
  return copyArtifacts({ from, to, attempts: 1, verify: true, onProgress });
}

async function copyArtifacts({
  from,
  to,
  attempts,
  verify,
  onProgress,
}: {
  from: string;
  to: string;
  attempts: number;
  verify: boolean;
  onProgress: OnProgress | undefined;
}): Promise<CopiedArtifacts> {
  const done = { files: 0, sizeBytes: 0 };
  const copied = new Map<string, number>();
  const count = (sizeBytes: number) => {
    done.files += 1;
    done.sizeBytes += sizeBytes;
    onProgress?.(done);
  };

  /** Answers the size of the content in the copy, or undefined when the source has none. */
  async function copyContent(sha256: string, key: string): Promise<number | undefined> {
    const known = copied.get(sha256);
    if (known !== undefined) return known;
    const path = join('objects/sha256', sha256.slice(0, 2), sha256.slice(2));
    const target = join(to, path);
    await mkdir(dirname(target), { recursive: true });
    try {
      await copyFile(join(from, path), target, constants.COPYFILE_FICLONE);
    } catch (error) {
      if (isAbsent(error)) return undefined;
      throw error;
    }
    if (verify && (await hashFile(target)) !== sha256) {
      throw damagedKey(key, `its content ${path} is not what it was`);
    }
    const sizeBytes = await syncFile(target);
    copied.set(sha256, sizeBytes);
    count(sizeBytes);
    return sizeBytes;
  }

  async function copyKey(path: string): Promise<void> {
    const key = relative('refs', path).replaceAll(sep, '/');
    for (let attempt = 1; ; attempt++) {
      const text = await readFile(join(from, path), 'utf8').catch((error: unknown) => {
        if (!isAbsent(error)) throw error;
      });
      if (text === undefined) return;
      const pointer = parsePointer(text);
      if (pointer === undefined) throw damagedKey(key, 'its entry is unreadable');
      const sizeBytes = await copyContent(pointer.sha256, key);
      if (sizeBytes === pointer.size) {
        const target = join(to, path);
        await mkdir(dirname(target), { recursive: true });
        await writeFile(target, text, { flush: true });
        count(Buffer.byteLength(text));
        return;
      }
      if (sizeBytes !== undefined) {
        throw damagedKey(key, `its content has ${sizeBytes} bytes, ${pointer.size} were stored`);
      }
      if (attempt >= attempts) throw damagedKey(key, `its content ${pointer.sha256} is missing`);
      // Whoever replaces the key is about to write its new entry.
      await pause(attempt);
    }
  }

  await mkdir(to, { recursive: true });
  for (const path of await listKeys(from)) await copyKey(path);
  return { files: done.files, size_bytes: done.sizeBytes };
}

/** The files below `refs/`, relative to the store; nothing when it has none yet. */
async function listKeys(store: string): Promise<string[]> {
  try {
    const entries = await readdir(join(store, 'refs'), { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile())
      .map((entry) => relative(store, join(entry.parentPath, entry.name)));
  } catch (error) {
    if (isAbsent(error) && !(await exists(join(store, 'refs')))) return [];
    // A folder that was emptied and removed during the listing: look again.
    if (isAbsent(error)) return listKeys(store);
    throw error;
  }
}

export async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk);
  return hash.digest('hex');
}

/** Brings a file to disk and answers its size. */
export async function syncFile(path: string): Promise<number> {
  const isWindows = process.platform === 'win32';
  // Contents are read-only, and only Windows wants the right to write for bringing a file to disk.
  if (isWindows) await chmod(path, 0o644);
  const file = await open(path, isWindows ? 'r+' : 'r');
  try {
    await file.sync();
    return (await file.stat()).size;
  } finally {
    await file.close();
  }
}

function parsePointer(text: string): z.infer<typeof pointerSchema> | undefined {
  try {
    return pointerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function damagedKey(key: string, why: string): ApiError {
  return new ApiError('INVALID_STATE', `Artifact ${key} is damaged: ${why}`);
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** No file of that name: nothing, a folder, or below a file. */
function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}
