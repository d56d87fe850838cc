import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { type ArtifactStore, createLocalArtifactStore } from '../artifacts/index.ts';
import { createModelFiles } from './model-files.ts';

it('has one model file at a time in memory to look at it', async () => {
  const store = createLocalArtifactStore({ root: tempDir() });
  let reading = 0;
  let most = 0;
  const artifacts: ArtifactStore = {
    ...store,
    async read(key) {
      most = Math.max(most, ++reading);
      try {
        return await store.read(key);
      } finally {
        reading--;
      }
    },
  };
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names)
    await store.put(`tracking/${name}/model.onnx`, tinyClassifier({ weights: [1, 2] }));
  const files = createModelFiles({ artifacts });
  const inspected = await Promise.all(names.map((name) => files.inspect(`mlflow-artifacts:/${name}`)));
  expect(inspected.map(({ servable }) => servable)).toEqual([true, true, true, true]);
  expect(most).toBe(1);
});

it('keeps what a model was trained on, by the model, beyond the run that made it', async () => {
  const store = createLocalArtifactStore({ root: tempDir() });
  const files = createModelFiles({ artifacts: store });
  const text = '{"spec":{"columns":[]},"windows":[]}';
  await store.put('tracking/1/run/artifacts/evaluation/reference.json', Buffer.from(text));
  const version = { sha256: 'a'.repeat(64) };
  expect(await files.referencePath(version)).toBeUndefined();
  await files.keepReference('mlflow-artifacts:/1/run/artifacts', version.sha256);
  await store.delete('tracking/1/run/artifacts/evaluation/reference.json');
  expect(readFileSync((await files.referencePath(version))!, 'utf8')).toBe(text);
  expect(await files.referencePath({ sha256: 'b'.repeat(64) })).toBeUndefined();
  expect(await files.referencePath({ sha256: undefined })).toBeUndefined();
});
