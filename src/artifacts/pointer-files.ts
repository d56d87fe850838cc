import { constants } from 'node:fs';
import { type FileHandle, open, readdir, realpath, rm, rmdir, unlink } from 'node:fs/promises';
import path from 'node:path';
import { ApiError } from '../platform/index.ts';
import type { ArtifactInfo } from './artifact-store.ts';
import { damaged } from './checked-stream.ts';
import { moveDurably, syncFolder, writeTemporary } from './durable-files.ts';

/** The folder `refs/`: one small file for each key, `{"sha256":…,"size":…}`. Passes no symbolic link. */
export function createPointerFiles(refs: string, temporary: string) {
  /** Refuses when a link on the way leads elsewhere: the deepest folder that exists must be where it seems to be. */
  async function confined(parts: readonly string[]): Promise<string> {
    for (let depth = parts.length; depth >= 0; depth--) {
      const expected = path.join(refs, ...parts.slice(0, depth));
      const real = await realpath(expected).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
        if (error.code === 'ELOOP') return '';
        throw error;
      });
      if (real === expected) break;
      if (real !== undefined) throw linkError(parts);
    }
    return path.join(refs, ...parts);
  }

  async function read(parts: readonly string[]): Promise<ArtifactInfo | undefined> {
    const file = await confined(parts);
    let handle: FileHandle | undefined;
    let text: string;
    try {
      handle = await open(file, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
      text = await handle.readFile('utf8');
    } catch (error) {
      if (isAbsent(error)) return undefined;
      if ((error as NodeJS.ErrnoException).code === 'ELOOP') throw linkError(parts);
      throw error;
    } finally {
      await handle?.close();
    }
    const info = parsePointer(text);
    if (info === undefined) throw damaged(parts.join('/'), 'its entry is unreadable');
    return info;
  }

  async function write(parts: readonly string[], info: ArtifactInfo): Promise<void> {
    const pointer = await writeTemporary(
      temporary,
      Buffer.from(JSON.stringify({ sha256: info.sha256, size: info.sizeBytes })),
    );
    try {
      await moveDurably(pointer.file, await confined(parts));
    } catch (error) {
      await rm(pointer.file, { force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EISDIR' || code === 'ENOTDIR' || code === 'EEXIST' || code === 'ENOTEMPTY') {
        throw new ApiError(
          'RESOURCE_CONFLICT',
          `Artifact ${parts.join('/')} cannot be stored: a folder has that name, or a part of its path is a file`,
        );
      }
      throw error;
    }
  }

  /** Removes the key's file and every folder that is empty then. */
  async function remove(parts: readonly string[]): Promise<void> {
    const file = await confined(parts);
    await unlink(file).catch((error: NodeJS.ErrnoException) => {
      if (!isAbsent(error)) throw error;
    });
    let folder = path.dirname(file);
    while (folder !== refs) {
      const removed = await rmdir(folder).then(
        () => true,
        () => false,
      );
      if (!removed) break;
      folder = path.dirname(folder);
    }
    await syncFolder(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error;
    });
  }

  /** Folders and files right below a folder; nothing when it is not there. */
  async function entries(parts: readonly string[]): Promise<{ name: string; isDirectory: boolean }[]> {
    try {
      const found = await readdir(await confined(parts), { withFileTypes: true });
      return found
        .filter((entry) => entry.isDirectory() || entry.isFile())
        .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }));
    } catch (error) {
      if (isAbsent(error)) return [];
      throw error;
    }
  }

  /** The parts of every key below a folder. */
  async function* walk(parts: readonly string[]): AsyncGenerator<string[]> {
    for (const { name, isDirectory } of await entries(parts)) {
      const inner = [...parts, name];
      if (isDirectory) yield* walk(inner);
      else yield inner;
    }
  }

  return { read, write, remove, entries, walk };
}

/** No file of that name: nothing, a folder, or below a file. */
function isAbsent(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR', 'EISDIR'].includes((error as NodeJS.ErrnoException).code ?? '');
}

function parsePointer(text: string): ArtifactInfo | undefined {
  try {
    const { sha256, size } = JSON.parse(text) as { sha256?: unknown; size?: unknown };
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256) || typeof size !== 'number')
      return undefined;
    return { sha256, sizeBytes: size };
  } catch {
    return undefined;
  }
}

function linkError(parts: readonly string[]): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Invalid path ${JSON.stringify(parts.join('/'))}: it passes a link`,
  );
}
