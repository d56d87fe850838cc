import { createHash } from 'node:crypto';
import { type FileHandle, mkdir, open, realpath, rm } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { ApiError, type Clock, createKeyedQueue, systemClock } from '../platform/index.ts';
import { parseKey, parsePrefix } from './artifact-key.ts';
import type { ArtifactEntry, ArtifactInfo, ArtifactStore } from './artifact-store.ts';
import { checkContent, damaged } from './checked-stream.ts';
import { createContentFiles } from './content-files.ts';
import { removeOrphans, syncFolder, writeTemporary } from './durable-files.ts';
import { createPointerFiles } from './pointer-files.ts';

export interface LocalArtifactStore extends ArtifactStore {
  /** Removes contents that no key names, which a killed process can leave; gives how many. Others may go on working. */
  collectGarbage(): Promise<number>;
}

/** Contents that replacing left without a key are removed together, because finding them reads every entry. */
const REPLACED_BEFORE_SWEEP = 100;

/** Entries of a folder that are read at the same time: each takes a file descriptor. */
const READ_AT_ONCE = 64;

/** Bytes that are hashed in one turn of the event loop: about 4 ms. */
const HASHED_AT_ONCE = 4 * 2 ** 20;

/**
 * A store in a folder of this machine, for one process at a time: `objects/sha256/ab/cdef…` holds each content once,
 * `refs/<key>` says which content a key has, `tmp/` is what is arriving. A content goes with the last key that has it.
 */
export function createLocalArtifactStore(options: { root: string; clock?: Clock }): LocalArtifactStore {
  const root = path.resolve(options.root);
  const clock = options.clock ?? systemClock;
  const lockedKey = createKeyedQueue();
  let replaced = new Set<string>();
  let opened: ReturnType<typeof openFolders> | undefined;

  function folders() {
    opened ??= openFolders(root, clock).catch((error: unknown) => {
      opened = undefined; // The next call tries again: a disk may come back.
      throw error;
    });
    return opened;
  }

  async function openContent(key: string): Promise<ArtifactInfo & { handle: FileHandle; file: string }> {
    const parts = parseKey(key);
    const { pointers, contents } = await folders();
    for (let attempt = 1; ; attempt++) {
      const info = await pointers.read(parts);
      if (info === undefined) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No artifact ${key}`);
      const file = contents.pathOf(info.sha256);
      const handle = await open(file, 'r').catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
      if (handle !== undefined) return { ...info, handle, file };
      // It may have been replaced between the two looks; then the second finds the new one.
      if (attempt === 2) throw damaged(key, 'its content is missing');
    }
  }

  /** As `openContent`, and what is there is as long as it should be. */
  async function openWhole(key: string) {
    const found = await openContent(key);
    const { size } = await found.handle.stat();
    if (size === found.sizeBytes) return found;
    await found.handle.close();
    throw damaged(key, `it has ${size} bytes, ${found.sizeBytes} were stored`);
  }

  async function sweep(candidates: () => Promise<Set<string>>): Promise<number> {
    const { pointers, contents } = await folders();
    return contents.sweep(candidates, async function* named() {
      for await (const parts of pointers.walk([])) {
        const info = await pointers.read(parts);
        if (info) yield info.sha256;
      }
    });
  }

  async function removeUnnamed(orphans: Iterable<string>): Promise<void> {
    const candidates = new Set([...orphans, ...replaced]);
    replaced = new Set();
    await sweep(async () => candidates);
  }

  async function removeKey(parts: readonly string[]): Promise<string | undefined> {
    const { pointers } = await folders();
    return lockedKey(parts.join('/'), async () => {
      // An entry that cannot be read goes all the same; a folder is no key.
      const info = await pointers.read(parts).catch(() => 'damaged' as const);
      if (info === undefined) return undefined;
      await pointers.remove(parts);
      return info === 'damaged' ? undefined : info.sha256;
    });
  }

  return {
    async put(key, body, expect = {}) {
      const parts = parseKey(key);
      const { pointers, contents, temporary } = await folders();
      try {
        const written = await writeTemporary(temporary, body);
        const { file, sizeBytes, sha256 } = written;
        try {
          if (expect.sha256 !== undefined && expect.sha256.toLowerCase() !== sha256) {
            throw new ApiError(
              'INVALID_PARAMETER_VALUE',
              `The content of ${key} has sha256 ${sha256}, but ${expect.sha256} was expected; it was not stored`,
            );
          }
          await contents.keep(written, () =>
            lockedKey(key, async () => {
              const before = await pointers.read(parts).catch(() => undefined);
              await pointers.write(parts, { sizeBytes, sha256 });
              if (before !== undefined && before.sha256 !== sha256) replaced.add(before.sha256);
            }),
          );
        } catch (error) {
          await rm(file, { force: true });
          throw error;
        }
        if (replaced.size >= REPLACED_BEFORE_SWEEP) await removeUnnamed([]);
        return { sizeBytes, sha256 };
      } catch (error) {
        throw explained(error, key);
      }
    },

    async open(key) {
      const { handle, sizeBytes, sha256 } = await openWhole(key);
      const stream = checkContent(key, { sizeBytes, sha256 });
      // Its errors reach the reader through `stream`, which pipeline destroys with them.
      pipeline(handle.createReadStream(), stream, () => {});
      return { stream, sizeBytes, sha256 };
    },

    async read(key) {
      const { handle, sha256 } = await openWhole(key);
      try {
        const bytes = await handle.readFile();
        const found = await digestInSteps(bytes);
        if (found !== sha256) throw damaged(key, `its sha256 is ${found}, ${sha256} was stored`);
        return bytes;
      } finally {
        await handle.close();
      }
    },

    async head(key) {
      const parts = parseKey(key);
      return (await folders()).pointers.read(parts);
    },

    async list(prefix) {
      const parts = parsePrefix(prefix);
      const { pointers } = await folders();
      const found = await pointers.entries(parts);
      const entries: (ArtifactEntry | undefined)[] = [];
      for (let i = 0; i < found.length; i += READ_AT_ONCE) {
        const read = found.slice(i, i + READ_AT_ONCE).map(async ({ name, isDirectory }) => {
          if (isDirectory) return { name, isDirectory };
          const info = await pointers.read([...parts, name]);
          return info && { name, isDirectory, sizeBytes: info.sizeBytes };
        });
        entries.push(...(await Promise.all(read)));
      }
      return entries
        .filter((entry) => entry !== undefined)
        .sort((a, b) => Buffer.compare(Buffer.from(a.name), Buffer.from(b.name)));
    },

    async delete(key) {
      const sha256 = await removeKey(parseKey(key));
      if (sha256 !== undefined) await removeUnnamed([sha256]);
    },

    async deletePrefix(prefix) {
      const parts = parsePrefix(prefix);
      if (parts.length === 0) {
        throw new ApiError('INVALID_PARAMETER_VALUE', 'Invalid path "": deleting everything needs a folder');
      }
      const { pointers } = await folders();
      const orphans = new Set<string>();
      for await (const inner of pointers.walk(parts)) {
        const sha256 = await removeKey(inner);
        if (sha256 !== undefined) orphans.add(sha256);
      }
      if (orphans.size > 0) await removeUnnamed(orphans);
    },

    async localPath(key) {
      const { handle, file } = await openWhole(key);
      await handle.close();
      return file;
    },

    async collectGarbage() {
      const { contents } = await folders();
      return sweep(contents.all);
    },
  };
}

/** Lets others have their turn between the steps: hashing hundreds of megabytes takes a second. */
async function digestInSteps(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += HASHED_AT_ONCE) {
    if (at > 0) await setImmediate();
    hash.update(bytes.subarray(at, at + HASHED_AT_ONCE));
  }
  return hash.digest('hex');
}

/** Makes the folders of a store, and removes what a killed process left half written. */
async function openFolders(root: string, clock: Clock) {
  const objects = path.join(root, 'objects', 'sha256');
  const temporary = path.join(root, 'tmp');
  const refs = path.join(root, 'refs');
  for (const folder of [objects, temporary, refs]) await mkdir(folder, { recursive: true });
  await syncFolder(root);
  await removeOrphans(temporary, clock.now());
  return {
    temporary,
    pointers: createPointerFiles(await realpath(refs), temporary),
    contents: createContentFiles(objects),
  };
}

/** Adds what the user can do to the errors of a full or broken disk. */
function explained(error: unknown, key: string): unknown {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') {
    return new ApiError(
      'TEMPORARILY_UNAVAILABLE',
      `Artifact ${key} was not stored: the disk of the artifact store is full`,
      undefined,
      { cause: error },
    );
  }
  return error;
}
