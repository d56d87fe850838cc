import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { createSegmentWriter, diskFiles, type SegmentFiles } from './segment-writer.ts';

function writerWith(files: Partial<SegmentFiles> = {}, maxBytes = 1000) {
  const open = new Set<number>();
  const synced: number[] = [];
  const writer = createSegmentWriter({
    folder: tempDir(),
    kind: 'predictions',
    maxBytes,
    files: {
      ...diskFiles,
      open(path) {
        const fd = diskFiles.open(path);
        open.add(fd);
        return fd;
      },
      close(fd) {
        open.delete(fd);
        diskFiles.close(fd);
      },
      sync: async (fd) => {
        expect(open).toContain(fd);
        synced.push(fd);
        await diskFiles.sync(fd);
      },
      ...files,
    },
  });
  return { writer, open, synced };
}

const text = (path: string) => readFileSync(path, 'utf8');

describe('a segment writer', () => {
  it('finishes a write that the system cuts short', () => {
    const writes: number[] = [];
    const { writer } = writerWith({
      write(fd, bytes, offset, length) {
        writes.push(length);
        return diskFiles.write(fd, bytes, offset, Math.min(7, length));
      },
    });
    writer.append('{"a":"größer als sieben"}\n', 5);
    const [segment] = writer.takeClosed();
    expect(writes.length).toBeGreaterThan(2);
    expect(text(segment!.path)).toBe('{"a":"größer als sieben"}\n');
    expect(segment).toMatchObject({ sequence: 0, bytes: 28, newest: 5 });
  });

  it('takes back the half of a batch that was written when the disk became full', () => {
    let room = 1000;
    const { writer } = writerWith({
      write(fd, bytes, offset, length) {
        if (room === 0) throw new Error('ENOSPC');
        const some = Math.min(room, length);
        room -= some;
        return diskFiles.write(fd, bytes, offset, some);
      },
    });
    writer.append('first\n', 1);
    room = 3;
    expect(() => writer.append('second\n', 2)).toThrow('ENOSPC');
    room = 1000;
    writer.append('third\n', 3);
    const [segment] = writer.takeClosed();
    expect(text(segment!.path)).toBe('first\nthird\n');
    expect(segment).toMatchObject({ bytes: 12, newest: 3 });
  });

  it('begins another segment when a half batch cannot be taken back; its length leaves that out', () => {
    let isFull = false;
    const { writer } = writerWith({
      write(fd, bytes, offset, length) {
        if (!isFull) return diskFiles.write(fd, bytes, offset, length);
        if (offset > 0) throw new Error('EIO');
        return diskFiles.write(fd, bytes, 0, 3);
      },
      truncate() {
        throw new Error('EIO');
      },
    });
    writer.append('first\n', 1);
    isFull = true;
    expect(() => writer.append('second\n', 2)).toThrow('EIO');
    isFull = false;
    writer.append('third\n', 3);
    const segments = writer.takeClosed();
    expect(segments).toMatchObject([
      { sequence: 0, bytes: 6 },
      { sequence: 1, bytes: 6 },
    ]);
    expect(text(segments[0]!.path)).toBe('first\nsec');
    expect(text(segments[1]!.path)).toBe('third\n');
  });

  it('syncs what is closed too, and closes no file that is being synced', async () => {
    const held = Promise.withResolvers<void>();
    let isHeld = true;
    const { writer, open, synced } = writerWith({
      sync: async (fd) => {
        if (isHeld) await held.promise;
        expect(open).toContain(fd);
        synced.push(fd);
      },
    });
    writer.append('first\n', 1);
    const first = writer.sync();
    writer.takeClosed();
    writer.append('second\n', 2);
    const second = writer.sync();
    expect(writer.sync()).toBe(second);
    expect(open.size).toBe(2);
    isHeld = false;
    held.resolve();
    await Promise.all([first, second]);
    expect(synced.length).toBeGreaterThanOrEqual(2);
    writer.takeClosed();
    await writer.sync();
    expect(open.size).toBe(0);
    expect(writer.needsSync).toBe(false);
  });

  it('tells all who wait that a sync failed, and syncs again later', async () => {
    const held = Promise.withResolvers<void>();
    let isBroken = true;
    const { writer, open } = writerWith({
      sync: async () => {
        await held.promise;
        if (isBroken) throw new Error('EIO');
      },
    });
    writer.append('first\n', 1);
    const first = writer.sync();
    // The failing sync may have lost these too, and the system tells it only once.
    writer.append('second\n', 2);
    const second = writer.sync();
    held.resolve();
    await expect(first).rejects.toThrow('EIO');
    await expect(second).rejects.toThrow('EIO');
    expect(writer.needsSync).toBe(true);
    isBroken = false;
    await writer.sync();
    expect(writer.needsSync).toBe(false);
    expect(open.size).toBe(1);
  });

  it('closes no file while another sync of it goes on, although one has failed', async () => {
    const held = Promise.withResolvers<void>();
    const { writer, open } = writerWith({
      sync: async (fd) => {
        if (fd === first) throw new Error('EIO');
        await held.promise;
        expect(open).toContain(fd);
      },
    });
    writer.append('first\n', 1);
    const [first] = open;
    writer.takeClosed();
    writer.append('second\n', 2);
    writer.takeClosed();
    const synced = writer.sync();
    expect(open.size).toBe(2);
    held.resolve();
    await expect(synced).rejects.toThrow('EIO');
    expect(open.size).toBe(0);
  });

  it('leaves no empty files behind while the disk is full', () => {
    let isFull = true;
    const { writer, open } = writerWith({
      write(fd, bytes, offset, length) {
        if (isFull) throw new Error('ENOSPC');
        return diskFiles.write(fd, bytes, offset, length);
      },
    });
    for (let i = 0; i < 3; i++) {
      expect(() => writer.append('lost\n', 1)).toThrow('ENOSPC');
      expect(writer.takeClosed()).toEqual([]);
    }
    expect(open.size).toBe(1);
    isFull = false;
    writer.append('kept\n', 1);
    expect(writer.takeClosed()).toMatchObject([{ sequence: 0, bytes: 5 }]);
  });
});
