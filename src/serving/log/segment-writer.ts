import { closeSync, fdatasync, ftruncateSync, openSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { SegmentKind } from '../contract.ts';

/** What a writer needs of the disk; tests put a full one in its place. */
export interface SegmentFiles {
  open(path: string): number;
  /** Bytes written, which may be fewer than given. */
  write(fd: number, bytes: Uint8Array, offset: number, length: number): number;
  truncate(fd: number, length: number): void;
  sync(fd: number): Promise<void>;
  /** Brings the names of new files to the disk. */
  syncFolder(path: string): Promise<void>;
  close(fd: number): void;
}

export const diskFiles: SegmentFiles = {
  open: (path) => openSync(path, 'ax', 0o600),
  write: (fd, bytes, offset, length) => writeSync(fd, bytes, offset, length),
  truncate: (fd, length) => ftruncateSync(fd, length),
  sync: promisify(fdatasync),
  async syncFolder(path) {
    if (process.platform === 'win32') return; // Folders cannot be opened there.
    const folder = await open(path, 'r');
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  },
  close: (fd) => closeSync(fd),
};

/** A segment that takes no more lines. */
export interface ClosedSegment {
  kind: SegmentKind;
  sequence: number;
  path: string;
  bytes: number;
  /** Newest event time of its lines; null when it is not known. */
  newest: number | null;
  /** What reading it has found. */
  inspected?: { sha256: string; newest: number | null };
}

export interface SegmentWriterOptions {
  folder: string;
  kind: SegmentKind;
  maxBytes: number;
  files?: SegmentFiles;
}

/** The name of a segment's file; names sort by sequence. */
export const segmentFile = (kind: SegmentKind, sequence: number): string =>
  `${kind}-${String(sequence).padStart(10, '0')}.ndjson`;

const FIRST_BUFFER_BYTES = 256 * 1024;
const MOST_KEPT_BUFFER_BYTES = 4 * 1024 * 1024;

/**
 * Appends lines to one segment file after another. What `append` returns from has reached the operating system, so
 * that it survives the death of this process; `sync` brings it to the disk.
 */
export function createSegmentWriter({ folder, kind, maxBytes, files = diskFiles }: SegmentWriterOptions) {
  let fd: number | undefined;
  let sequence = 0;
  let bytes = 0;
  let newest: number | null = null;
  let isDirty = false;
  let isNew = false;
  let syncing: Promise<void> | undefined;
  let nextSync: Promise<void> | undefined;
  /** Closed segments whose last lines are not on the disk yet. */
  let unsynced: number[] = [];
  let buffer = Buffer.allocUnsafeSlow(FIRST_BUFFER_BYTES);
  let closed: ClosedSegment[] = [];

  const pathNow = () => join(folder, segmentFile(kind, sequence));

  function encode(text: string): { source: Buffer; length: number } {
    const most = text.length * 3;
    if (most > MOST_KEPT_BUFFER_BYTES) {
      const source = Buffer.from(text);
      return { source, length: source.length };
    }
    if (most > buffer.length) buffer = Buffer.allocUnsafeSlow(most);
    return { source: buffer, length: buffer.write(text) };
  }

  /** A file that cannot be closed has nothing more to say: its sync would have told. */
  function closeQuietly(ended: number): void {
    try {
      files.close(ended);
    } catch {}
  }

  function rotate(): void {
    if (fd === undefined) return;
    // Also while it is being synced: a number that is closed may soon be another file's.
    if (isDirty || syncing !== undefined) unsynced.push(fd);
    else closeQuietly(fd);
    if (bytes > 0) closed.push({ kind, sequence, path: pathNow(), bytes, newest });
    fd = undefined;
    sequence += 1;
    bytes = 0;
    newest = null;
    isDirty = false;
  }

  function syncNow(): Promise<void> {
    const ended = unsynced;
    unsynced = [];
    const all = isDirty && fd !== undefined ? [...ended, fd] : ended;
    const hasNew = isNew;
    isDirty = false;
    isNew = false;
    syncing = (async () => {
      try {
        // All of them, because they are closed next, and a number that is closed may soon be another file's.
        const synced = await Promise.allSettled(all.map((one) => files.sync(one)));
        for (const one of synced) if (one.status === 'rejected') throw one.reason;
        if (hasNew) await files.syncFolder(folder);
      } catch (error) {
        isDirty = fd !== undefined;
        isNew ||= hasNew;
        throw error;
      } finally {
        for (const one of ended) closeQuietly(one);
        syncing = undefined;
      }
    })();
    return syncing;
  }

  return {
    /** Where the next line goes. */
    get position(): { sequence: number; bytes: number } {
      return { sequence, bytes };
    },

    /** Bytes of the open segment and of the closed ones that nobody took yet. */
    get bytes(): number {
      return closed.reduce((sum, segment) => sum + segment.bytes, bytes);
    },

    get isEmpty(): boolean {
      return bytes === 0 && closed.length === 0;
    },

    /**
     * Appends whole lines by one write. Throws what the disk says, and then nothing of them is kept.
     *
     * @param newestMs the newest event time among the lines.
     */
    append(text: string, newestMs: number): void {
      if (fd === undefined) {
        fd = files.open(pathNow());
        isNew = true;
      }
      const { source, length } = encode(text);
      let written = 0;
      try {
        while (written < length) written += files.write(fd, source, written, length - written);
      } catch (error) {
        if (written > 0) {
          try {
            files.truncate(fd, bytes);
          } catch {
            rotate(); // Its end is cut off where it is read: by `bytes` here, by the last newline after a restart.
          }
        }
        throw error;
      }
      bytes += length;
      isDirty = true;
      if (newest === null || newestMs > newest) newest = newestMs;
      if (bytes >= maxBytes) rotate();
    },

    /** Ends the open segment, and hands over all that are closed since the last call. */
    takeClosed(): ClosedSegment[] {
      if (bytes > 0) rotate(); // What a full disk has left empty goes on.
      const taken = closed;
      closed = [];
      return taken;
    },

    /**
     * Resolves when all that was appended before the call is on the disk; callers of one moment share the work. Those
     * who wait for one that fails fail with it: what it should have written may be theirs, and is told of only once.
     */
    sync(): Promise<void> {
      if (syncing === undefined) return syncNow();
      nextSync ??= syncing.then(syncNow).finally(() => {
        nextSync = undefined;
      });
      return nextSync;
    },

    get needsSync(): boolean {
      return isDirty || unsynced.length > 0;
    },
  };
}

export type SegmentWriter = ReturnType<typeof createSegmentWriter>;
