import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { fixedClock, tempDir } from '../../tests/support/index.ts';
import { fc } from '../../tests/support/properties.ts';
import { ApiError } from '../platform/index.ts';
import { describeArtifactStore } from './artifact-store.suite.ts';
import { createLocalArtifactStore } from './index.ts';

describeArtifactStore('local disk', () =>
  createLocalArtifactStore({ root: path.join(tempDir(), 'artifacts') }),
);

const bytes = (text: string) => new TextEncoder().encode(text);

/** Every file below a folder, as relative paths. */
function filesIn(folder: string): string[] {
  return (readdirSync(folder, { recursive: true, withFileTypes: true }) ?? [])
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)))
    .sort();
}

function objectFile(root: string, content: string): string {
  const hash = createHash('sha256').update(content).digest('hex');
  return path.join(root, 'objects', 'sha256', hash.slice(0, 2), hash.slice(2));
}

/** Changes a stored content, as a failing disk would. */
function damage(file: string, text: string): void {
  chmodSync(file, 0o644);
  writeFileSync(file, text);
}

describe('the folder of a local store', () => {
  it('keeps each content once under its hash, and a readable entry for each key', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('1/r/artifacts/a', bytes('same'));
    await store.put('1/r/artifacts/b', bytes('same'));
    const object = path.relative(root, objectFile(root, 'same'));
    expect(filesIn(root)).toEqual([object, 'refs/1/r/artifacts/a', 'refs/1/r/artifacts/b'].sort());
    const entry = JSON.parse(readFileSync(path.join(root, 'refs/1/r/artifacts/a'), 'utf8'));
    expect(entry).toEqual({ sha256: createHash('sha256').update('same').digest('hex'), size: 4 });
  });

  it('is the same for the next process', async () => {
    const root = tempDir();
    await createLocalArtifactStore({ root }).put('k', bytes('kept'));
    expect((await createLocalArtifactStore({ root }).read('k')).toString()).toBe('kept');
  });

  it('removes a content with its last key, and a replaced one when it sweeps', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('a', bytes('shared'));
    await store.put('b/c', bytes('shared'));
    await store.put('d', bytes('first'));
    await store.put('d', bytes('second'));
    await store.delete('a');
    expect(existsSync(objectFile(root, 'shared'))).toBe(true);
    expect(existsSync(objectFile(root, 'first'))).toBe(false);
    await store.deletePrefix('b');
    expect(existsSync(objectFile(root, 'shared'))).toBe(false);
    await store.delete('d');
    expect(filesIn(root)).toEqual([]);
  });

  it('sweeps by itself when a hundred contents were replaced', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    for (let i = 0; i <= 100; i++) await store.put('progress', bytes(String(i)));
    expect(filesIn(path.join(root, 'objects'))).toHaveLength(1);
    expect((await store.read('progress')).toString()).toBe('100');
  });

  it('collects contents that no key names, and no others', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('kept', bytes('kept'));
    const orphan = objectFile(root, 'orphan');
    mkdirSync(path.dirname(orphan), { recursive: true });
    writeFileSync(orphan, 'orphan');
    const [removed] = await Promise.all([
      store.collectGarbage(),
      ...Array.from({ length: 20 }, (_, i) => store.put(`during/${i}`, bytes(`during ${i % 3}`))),
    ]);
    expect(removed).toBe(1);
    expect(existsSync(orphan)).toBe(false);
    for (let i = 0; i < 20; i++) expect((await store.read(`during/${i}`)).toString()).toBe(`during ${i % 3}`);
    expect((await store.read('kept')).toString()).toBe('kept');
  });

  it('loses nothing when the same content is put and deleted at the same time', async () => {
    const store = createLocalArtifactStore({ root: tempDir() });
    for (let round = 0; round < 30; round++) {
      await store.put('old', bytes('content'));
      await Promise.all([store.delete('old'), store.put('new', bytes('content'))]);
      expect((await store.read('new')).toString()).toBe('content');
      await store.delete('new');
    }
  });

  it('removes what a killed process was writing, and leaves what a living one writes', async () => {
    const root = tempDir();
    const clock = fixedClock(Date.now());
    const dead = spawnSync('true').pid;
    mkdirSync(path.join(root, 'tmp'), { recursive: true });
    for (const name of [`${dead}-aa`, `${process.pid}-new`, `${process.pid}-old`]) {
      writeFileSync(path.join(root, 'tmp', name), 'half');
    }
    const twoDaysAgo = clock.now() / 1000 - 2 * 86_400;
    utimesSync(path.join(root, 'tmp', `${process.pid}-old`), twoDaysAgo, twoDaysAgo);
    await createLocalArtifactStore({ root, clock }).list('');
    expect(readdirSync(path.join(root, 'tmp'))).toEqual([`${process.pid}-new`]);
  });

  it('leaves nothing of a broken upload', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    async function* breaking() {
      yield Buffer.alloc(1024 * 1024);
      throw new Error('aborted');
    }
    await expect(store.put('a/b', Readable.from(breaking()))).rejects.toThrow('aborted');
    await expect(store.put('a/b', bytes('x'), { sha256: '0' })).rejects.toThrow('not stored');
    expect(filesIn(root)).toEqual([]);
  });

  it('says that the disk is full, keeps the old content and leaves nothing half written', async (test) => {
    const disk = path.join(tempDir(), 'disk');
    mkdirSync(disk);
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
    test.skip(mounted.status !== 0, 'needs the right to mount a small disk');
    try {
      const store = createLocalArtifactStore({ root: disk });
      await store.put('k', bytes('old'));
      const put = store.put('k', Readable.from(Array.from({ length: 32 }, () => Buffer.alloc(64 * 1024, 1))));
      await expect(put).rejects.toMatchObject({
        code: 'TEMPORARILY_UNAVAILABLE',
        message: 'Artifact k was not stored: the disk of the artifact store is full',
      });
      expect((await store.read('k')).toString()).toBe('old');
      expect(readdirSync(path.join(disk, 'tmp'))).toEqual([]);
      await store.put('k', bytes('fits'));
      expect((await store.read('k')).toString()).toBe('fits');
    } finally {
      spawnSync('umount', [disk]);
    }
  });

  it('reads and writes with little memory, however large the content', async () => {
    const store = createLocalArtifactStore({ root: tempDir() });
    const chunk = Buffer.alloc(1024 * 1024, 7);
    async function* large() {
      for (let i = 0; i < 200; i++) yield chunk;
    }
    const before = process.memoryUsage().arrayBuffers;
    let most = 0;
    await store.put('large', Readable.from(large()));
    most = Math.max(most, process.memoryUsage().arrayBuffers);
    const { stream, sizeBytes } = await store.open('large');
    let read = 0;
    for await (const part of stream) {
      read += (part as Buffer).length;
      most = Math.max(most, process.memoryUsage().arrayBuffers);
    }
    expect(read).toBe(sizeBytes);
    expect(most - before).toBeLessThan(100 * 1024 * 1024);
  });
});

it('has everything that was acknowledged, and nothing half, after its process was killed', async () => {
  const script = fileURLToPath(new URL('../../tests/support/put-artifacts-until-killed.ts', import.meta.url));
  for (const killAfter of [1, 10, 40]) {
    const root = tempDir();
    const child = spawn(process.execPath, [script, root], { stdio: ['ignore', 'pipe', 'inherit'] });
    let told = '';
    for await (const chunk of child.stdout) {
      told += chunk;
      if (told.split('\n').length > killAfter) child.kill('SIGKILL');
    }
    const acknowledged = told.split('\n').slice(0, -1);
    expect(acknowledged.length).toBeGreaterThanOrEqual(killAfter);
    const store = createLocalArtifactStore({ root });
    for (const key of acknowledged) expect((await store.read(key)).toString()).toBe(key.repeat(5_000));
    for (const { name } of await store.list('')) {
      for (const file of await store.list(name)) await store.read(`${name}/${file.name}`);
    }
    expect(filesIn(path.join(root, 'tmp'))).toEqual([]);
    await store.collectGarbage();
    expect(filesIn(path.join(root, 'objects'))).toHaveLength(filesIn(path.join(root, 'refs')).length);
  }
});

it('keeps every key that it takes inside its folder', async () => {
  const root = tempDir();
  const store = createLocalArtifactStore({ root: path.join(root, 'store') });
  const part = fc.oneof(
    fc.constantFrom('..', '.', '', '%2e', '%2f', '\\', 'a', '~', '$HOME', ' '),
    fc.string(),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(part, { maxLength: 5 }),
      fc.constantFrom('/', '%2f', '\\'),
      async (parts, by) => {
        const key = parts.join(by);
        const taken = await store.put(key, bytes(key)).catch((error: ApiError) => error);
        if (taken instanceof ApiError) {
          expect(taken.code).toBe('INVALID_PARAMETER_VALUE');
          return;
        }
        expect((await store.read(key)).toString()).toBe(key);
        expect(filesIn(path.join(root, 'store', 'refs'))).toEqual([path.normalize(key)]);
        await store.delete(key);
        expect(filesIn(path.join(root, 'store'))).toEqual([]);
      },
    ),
    { numRuns: 300 },
  );
  expect(readdirSync(root)).toEqual(['store']);
});

describe('a damaged local store', () => {
  it('fails at the end of a stream and in read when a byte has changed', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('m/model.onnx', bytes('right'));
    damage(objectFile(root, 'right'), 'wrong');
    const expected = {
      code: 'INVALID_STATE',
      message: expect.stringContaining('m/model.onnx is damaged: its sha256'),
    };
    await expect(store.read('m/model.onnx')).rejects.toMatchObject(expected);
    const { stream } = await store.open('m/model.onnx');
    await expect(buffer(stream)).rejects.toMatchObject(expected);
  });

  it('fails at once when a content is shorter or missing', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('a', bytes('right'));
    chmodSync(objectFile(root, 'right'), 0o644);
    truncateSync(objectFile(root, 'right'), 2);
    for (const call of [() => store.open('a'), () => store.read('a'), () => store.localPath('a')]) {
      await expect(call()).rejects.toThrow('a is damaged: it has 2 bytes, 5 were stored');
    }
    await store.put('b', bytes('gone'));
    spawnSync('rm', ['-f', objectFile(root, 'gone')]);
    await expect(store.read('b')).rejects.toThrow('b is damaged: its content is missing');
  });

  it('is healed by putting the same content again', async () => {
    const root = tempDir();
    const store = createLocalArtifactStore({ root });
    await store.put('a', bytes('right'));
    damage(objectFile(root, 'right'), 'wrong');
    await store.put('elsewhere', bytes('right'));
    expect((await store.read('a')).toString()).toBe('right');
  });

  it.each(['{', '{"sha256":"../../x","size":1}', 'null'])(
    'says that the entry %s is unreadable',
    async (entry) => {
      const root = tempDir();
      const store = createLocalArtifactStore({ root });
      await store.put('a', bytes('right'));
      damage(path.join(root, 'refs/a'), entry);
      await expect(store.read('a')).rejects.toMatchObject({
        code: 'INVALID_STATE',
        message: expect.stringContaining('its entry is unreadable'),
      });
      await store.put('a', bytes('again'));
      expect((await store.read('a')).toString()).toBe('again');
    },
  );

  it('follows no symbolic link out of the store', async () => {
    const root = tempDir();
    const outside = tempDir();
    writeFileSync(path.join(outside, 'secret'), '{"sha256":"x","size":1}');
    const store = createLocalArtifactStore({ root });
    await store.put('real/file', bytes('x'));
    symlinkSync(outside, path.join(root, 'refs/linked'));
    symlinkSync(path.join(outside, 'secret'), path.join(root, 'refs/real/secret'));
    symlinkSync('loop', path.join(root, 'refs/loop'));
    for (const key of ['linked/secret', 'linked/new/deep', 'real/secret', 'loop/x']) {
      const refused = { code: 'INVALID_PARAMETER_VALUE', message: expect.stringContaining('passes a link') };
      await expect(store.read(key)).rejects.toMatchObject(refused);
      await expect(store.put(key, bytes('y'))).rejects.toMatchObject(refused);
      await expect(store.delete(key)).rejects.toMatchObject(refused);
    }
    await expect(store.list('linked')).rejects.toThrow('passes a link');
    expect(await store.list('real')).toEqual([{ name: 'file', isDirectory: false, sizeBytes: 1 }]);
    expect(readdirSync(outside)).toEqual(['secret']);
    await store.deletePrefix('real');
    expect(readdirSync(outside)).toEqual(['secret']);
  });

  it('refuses a file where a folder is, and the other way round', async () => {
    const store = createLocalArtifactStore({ root: tempDir() });
    await store.put('a/b', bytes('x'));
    await expect(store.put('a', bytes('y'))).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
    await expect(store.put('a/b/c', bytes('y'))).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
    expect((await store.read('a/b')).toString()).toBe('x');
  });
});
