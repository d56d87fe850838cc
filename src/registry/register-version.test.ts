import { expect, it } from 'vitest';
import { describeDatabases, fixedClock, tempDir } from '../../tests/support/index.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import type { Database } from '../platform/index.ts';
import { createRegisteredModel, renameRegisteredModel } from './commands.ts';
import { createModelFiles, createModelVersionStore, createVersionRegistrar } from './index.ts';

const NOW = 1_795_218_807_000;

describeDatabases('registering by a key', (openDatabase) => {
  async function prepare(): Promise<{ database: Database; register: (key?: string) => Promise<number> }> {
    const database = await openDatabase();
    await database.execute(createRegisteredModel, { name: 'm', description: '', tags: [], now: NOW });
    const files = createModelFiles({ artifacts: createLocalArtifactStore({ root: tempDir() }) });
    const registrar = createVersionRegistrar({ database, clock: fixedClock(NOW), files });
    const base = { name: 'm', source: 'mlflow-artifacts:/1/r/artifacts/model', runId: '', userId: 'ann' };
    return {
      database,
      register: (idempotencyKey) =>
        registrar.register({
          ...base,
          description: '',
          tags: [{ key: 'a', value: 'b' }],
          ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
        }),
    };
  }

  it('makes one version for one key, however often and at once', async () => {
    const { database, register } = await prepare();
    const made = await Promise.all([register('run/1'), register('run/1'), register('run/1')]);
    expect(made).toEqual([1, 1, 1]);
    expect(await register('run/1')).toBe(1);
    expect(await register('run/2')).toBe(2);
    expect(await register()).toBe(3);
    expect(await createModelVersionStore(database.reader).list('m')).toHaveLength(3);
  });

  it('knows the key of a model that was renamed', async () => {
    const { database, register } = await prepare();
    expect(await register('run/1')).toBe(1);
    const cause = { action: 'rename', actor: 'ann', at: NOW };
    await database.execute(renameRegisteredModel, { name: 'm', newName: 'n', cause });
    expect(await createModelVersionStore(database.reader).findByKey('n', 'run/1')).toBe(1);
  });
});
