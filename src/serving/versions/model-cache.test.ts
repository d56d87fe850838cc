import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from '../../../tests/support/index.ts';
import { createModelCache, writeAtomically } from './model-cache.ts';

const A = 'a'.repeat(64);
const B = 'b'.repeat(64);
const measure = {
  runtime: '1',
  createMs: 1,
  rowMicros: 2,
  batchRowMicros: 0.1,
  memoryBytes: 3,
  hasControlFlow: false,
};

describe('the cache of models', () => {
  it('gives back the state and the measures that it was given, and nothing for what is broken', async () => {
    const folder = tempDir();
    const cache = createModelCache(folder);
    await cache.open();
    expect(await cache.readDesiredState()).toBeUndefined();
    const state = { revision: '4', models: [], not_servable: [] };
    await cache.writeDesiredState(state);
    expect(await cache.readDesiredState()).toEqual(state);
    await cache.writeMeasure(A, measure);
    expect(await cache.readMeasure(A)).toEqual(measure);
    expect(await cache.readMeasure(B)).toBeUndefined();
    writeFileSync(join(folder, 'desired-state.json'), '{"revision":4}');
    expect(await cache.readDesiredState()).toBeUndefined();
  });

  it('removes what nothing needs, and only models', async () => {
    const folder = tempDir();
    const cache = createModelCache(folder);
    await cache.open();
    for (const digest of [A, B]) {
      await writeAtomically(cache.modelPath(digest), 'x');
      await cache.writeMeasure(digest, measure);
    }
    writeFileSync(join(folder, 'models', 'README'), 'x');
    expect(await cache.dropUnneeded((digest) => digest === A)).toEqual([B]);
    expect(readdirSync(join(folder, 'models')).toSorted()).toEqual(['README', `${A}.json`, `${A}.onnx`]);
    expect(await cache.hasModel(A)).toBe(true);
    await cache.dropModel(A);
    expect(await cache.hasModel(A)).toBe(false);
  });

  it('takes nothing but digests as names of files', () => {
    const cache = createModelCache(tempDir());
    expect(() => cache.modelPath('../../etc/passwd')).toThrow('not the hex digest');
  });

  it('leaves nothing behind when a write fails', async () => {
    const folder = tempDir();
    const path = join(folder, 'taken');
    mkdirSync(path);
    await expect(writeAtomically(path, 'x')).rejects.toThrow(/EISDIR|ENOTEMPTY|EEXIST|EPERM/);
    expect(readdirSync(folder)).toEqual(['taken']);
  });
});
