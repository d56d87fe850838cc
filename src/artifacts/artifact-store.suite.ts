import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import type { ArtifactStore } from './artifact-store.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const text = (content: Uint8Array) => new TextDecoder().decode(content);
const sha256 = (content: Uint8Array | string) => createHash('sha256').update(content).digest('hex');

/** Keys that could lead out of a store, some only after somebody has decoded them. */
const EVIL_KEYS = [
  '',
  '/etc/passwd',
  '//a',
  '..',
  '../a',
  'a/../../b',
  'a/..',
  './a',
  'a/./b',
  'a//b',
  'a/',
  'a\\b',
  '..\\a',
  'C:/a',
  'c:a',
  'a\0b',
  'a\nb',
  'a#b',
  '%2e%2e/a',
  '%2E./a',
  'a/%2e%2e/%2e%2e/b',
  '..%2fa',
  '%252e%252e%252fa',
  '%2fetc',
  'a%5cb',
  'a%00b',
  'a%23b',
  '100%/%2e%2e/a',
  '\ud800',
  `${'x'.repeat(256)}/a`,
  Array.from({ length: 600 }, () => 'a').join('/'),
];

/** What every artifact store must do; `open` gives an empty one. */
export function describeArtifactStore(
  name: string,
  open: () => Promise<ArtifactStore> | ArtifactStore,
): void {
  describe(`${name}: the contract of artifact stores`, () => {
    it('gives back what was put, with its size and hash', async () => {
      const store = await open();
      const info = { sizeBytes: 5, sha256: sha256('hello') };
      expect(await store.put('1/run/artifacts/a.txt', bytes('hello'))).toEqual(info);
      expect(text(await store.read('1/run/artifacts/a.txt'))).toBe('hello');
      expect(await store.head('1/run/artifacts/a.txt')).toEqual(info);
      const { stream, ...opened } = await store.open('1/run/artifacts/a.txt');
      expect(opened).toEqual(info);
      expect((await buffer(stream)).toString()).toBe('hello');
    });

    it('takes streams and empty bodies, and keys with spaces, umlauts, dots and percent signs', async () => {
      const store = await open();
      const chunks = Array.from({ length: 64 }, (_, i) => Buffer.alloc(64 * 1024, i));
      const whole = Buffer.concat(chunks);
      await store.put('a/big', Readable.from(chunks));
      expect((await store.head('a/big'))?.sha256).toBe(sha256(whole));
      expect(whole.equals(await store.read('a/big'))).toBe(true);
      expect(await store.put('empty', Readable.from([]))).toEqual({ sizeBytes: 0, sha256: sha256('') });
      expect(await store.read('empty')).toHaveLength(0);
      for (const key of ['a b/ü 漢.txt', '.hidden', 'a..b', '...', 'x/100%', 'ends.', '+&=@()[]{}']) {
        await store.put(key, bytes(key));
        expect(text(await store.read(key))).toBe(key);
      }
    });

    it('replaces a key as a whole', async () => {
      const store = await open();
      await store.put('k', bytes('old'));
      await store.put('k', bytes('new and longer'));
      expect(text(await store.read('k'))).toBe('new and longer');
      expect((await store.head('k'))?.sizeBytes).toBe(14);
    });

    it('stores nothing when the hash is not the expected one', async () => {
      const store = await open();
      await store.put('k', bytes('old'), { sha256: sha256('old').toUpperCase() });
      const put = store.put('k', bytes('new'), { sha256: sha256('other') });
      await expect(put).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
      await expect(put).rejects.toThrow(sha256('new'));
      expect(text(await store.read('k'))).toBe('old');
      await expect(store.put('fresh', bytes('new'), { sha256: sha256('x') })).rejects.toThrow('not stored');
      expect(await store.list('')).toEqual([{ name: 'k', isDirectory: false, sizeBytes: 3 }]);
    });

    it('keeps the old content when the new one breaks off', async () => {
      const store = await open();
      await store.put('k', bytes('old'));
      async function* breaking() {
        yield bytes('ne');
        throw new Error('connection lost');
      }
      await expect(store.put('k', Readable.from(breaking()))).rejects.toThrow('connection lost');
      expect(text(await store.read('k'))).toBe('old');
      const destroyed = new Readable({ read() {} });
      const put = store.put('j', destroyed);
      destroyed.destroy();
      await expect(put).rejects.toThrow(/premature|closed/i);
      expect(await store.head('j')).toBeUndefined();
    });

    it('leaves one whole content when several puts of a key race', async () => {
      const store = await open();
      const contents = Array.from({ length: 8 }, (_, i) => String(i).repeat(50_000));
      const put = await Promise.all(
        contents.map((content) => store.put('k', Readable.from([bytes(content)]))),
      );
      expect(put.map((info) => info.sha256)).toEqual(contents.map((content) => sha256(content)));
      expect(contents).toContain(text(await store.read('k')));
      const same = await Promise.all(contents.map((_, i) => store.put(`same/${i}`, bytes('the same'))));
      expect(new Set(same.map((info) => info.sha256)).size).toBe(1);
      for (const i of contents.keys()) expect(text(await store.read(`same/${i}`))).toBe('the same');
    });

    it('tells that a key is not there', async () => {
      const store = await open();
      await store.put('folder/file', bytes('x'));
      for (const key of ['nothing', 'folder', 'folder/file/below', 'nothing/at/all']) {
        expect(await store.head(key)).toBeUndefined();
        for (const call of [() => store.open(key), () => store.read(key), () => store.localPath(key)]) {
          await expect(call()).rejects.toMatchObject({
            code: 'RESOURCE_DOES_NOT_EXIST',
            message: expect.stringContaining(key),
          });
        }
        expect(await store.list(`${key}/x`)).toEqual([]);
        await store.delete(key);
      }
      expect(text(await store.read('folder/file'))).toBe('x');
    });

    it('lists one level, files with their sizes, sorted by bytes', async () => {
      const store = await open();
      for (const key of ['r/b.txt', 'r/a/1', 'r/a/deep/2', 'r/B', 'r/ü', 'r/z/1', 'rest/1', 'r2']) {
        await store.put(key, bytes(key));
      }
      const expected = [
        { name: 'B', isDirectory: false, sizeBytes: 3 },
        { name: 'a', isDirectory: true },
        { name: 'b.txt', isDirectory: false, sizeBytes: 7 },
        { name: 'z', isDirectory: true },
        { name: 'ü', isDirectory: false, sizeBytes: 4 },
      ];
      expect(await store.list('r')).toEqual(expected);
      expect(await store.list('r/')).toEqual(expected);
      expect((await store.list('')).map((entry) => entry.name)).toEqual(['r', 'r2', 'rest']);
      expect(await store.list('r/b.txt')).toEqual([]);
      expect(await store.list('ghost')).toEqual([]);
    });

    it('lists more entries than it reads at the same time', async () => {
      const store = await open();
      const names = Array.from({ length: 150 }, (_, i) => String(i).padStart(3, '0'));
      await Promise.all(names.map((name) => store.put(`many/${name}`, bytes(name))));
      expect((await store.list('many')).map((entry) => entry.name)).toEqual(names);
    });

    it('deletes a key, and its folders with the last one', async () => {
      const store = await open();
      await store.put('a/b/1', bytes('x'));
      await store.put('a/b/2', bytes('x'));
      await store.delete('a/b/1');
      expect(await store.head('a/b/1')).toBeUndefined();
      expect(text(await store.read('a/b/2'))).toBe('x');
      await store.delete('a/b/2');
      expect(await store.list('')).toEqual([]);
      await store.put('a/b', bytes('now a file'));
      expect(text(await store.read('a/b'))).toBe('now a file');
    });

    it('takes a folder for no key when it deletes a key, and a key for no folder', async () => {
      const store = await open();
      await store.put('a/b/1', bytes('x'));
      for (const key of ['a', 'a/b', 'a/b/1/c']) await store.delete(key);
      await store.deletePrefix('a/b/1');
      expect(text(await store.read('a/b/1'))).toBe('x');
    });

    it('deletes everything below a folder and nothing beside it', async () => {
      const store = await open();
      for (const key of ['a/1', 'a/b/2', 'a/b/c/3', 'ab/4', 'a2']) await store.put(key, bytes('same'));
      await store.deletePrefix('a');
      expect((await store.list('')).map((entry) => entry.name)).toEqual(['a2', 'ab']);
      await store.deletePrefix('ghost/folder');
      await store.deletePrefix('a2');
      expect(text(await store.read('a2'))).toBe('same');
      expect(text(await store.read('ab/4'))).toBe('same');
      await expect(store.deletePrefix('')).rejects.toMatchObject({ code: 'INVALID_PARAMETER_VALUE' });
    });

    it.each(EVIL_KEYS)('refuses the key %j everywhere', async (key) => {
      const store = await open();
      const calls = [
        () => store.put(key, bytes('x')),
        () => store.open(key),
        () => store.read(key),
        () => store.head(key),
        () => store.delete(key),
        () => store.localPath(key),
        () => store.deletePrefix(key === 'a/' ? '../a/' : key),
        () => store.list(key === '' || key === 'a/' ? '..' : key),
      ];
      for (const call of calls) {
        await expect(call()).rejects.toMatchObject({
          code: 'INVALID_PARAMETER_VALUE',
          message: expect.stringContaining('Invalid path'),
        });
      }
      expect(await store.list('')).toEqual([]);
    });

    it('gives a file with the content for readers that need a path', async () => {
      const store = await open();
      await store.put('d/data.parquet', bytes('PAR1'));
      const { readFile } = await import('node:fs/promises');
      expect((await readFile(await store.localPath('d/data.parquet'))).toString()).toBe('PAR1');
    });
  });
}
