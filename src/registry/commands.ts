import { appendAudit, type Command, command, type Tx } from '../platform/index.ts';
import { createChampionStore, type MoveCause } from './champion-store.ts';
import { createModelVersionStore, type NewModelVersion } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import { CHAMPION_ALIAS, type Stage } from './tables.ts';

export { registryMigrations } from './migrations.ts';

interface Tag {
  key: string;
  value: string;
}

export const createRegisteredModel = command(
  'model.create',
  async (tx, input: { name: string; description: string; tags: Tag[]; now: number }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    await models.create(input);
    for (const tag of input.tags) await models.setTag(input.name, tag);
  },
);

export const describeRegisteredModel = command(
  'model.describe',
  async (
    tx,
    { name, description, now }: { name: string; description: string; now: number },
  ): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    await models.get(name);
    await models.describe(name, description, now);
  },
);

export const renameRegisteredModel = command(
  'model.rename',
  async (tx, input: { name: string; newName: string; cause: MoveCause }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    const champions = createChampionStore(tx);
    await models.lock(input.name);
    const champion = await champions.find(input.name);
    await models.rename(input.name, input.newName, input.cause.at);
    if (!champion) return;
    await champions.bumpRevision();
    await auditAlone(tx, input.name, input.cause, { version: champion.version, now_named: input.newName });
  },
);

export const deleteRegisteredModel = command(
  'model.delete',
  async (tx, { name, cause }: { name: string; cause: MoveCause }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    const champions = createChampionStore(tx);
    await models.lock(name);
    const champion = await champions.find(name);
    await models.delete(name);
    if (!champion) return;
    await champions.bumpRevision();
    await auditAlone(tx, name, cause, { from: champion.version, to: null });
  },
);

export const setRegisteredModelTag = command(
  'model.setTag',
  async (tx, { name, tag }: { name: string; tag: Tag }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    await models.get(name);
    await models.setTag(name, tag);
  },
);

export const deleteRegisteredModelTag = command(
  'model.deleteTag',
  async (tx, { name, key }: { name: string; key: string }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    await models.get(name);
    await models.deleteTag(name, key);
  },
);

export const setModelAlias = command(
  'model.setAlias',
  async (tx, input: { name: string; alias: string; version: number; cause: MoveCause }): Promise<void> => {
    const { name, alias, version, cause } = input;
    const models = createRegisteredModelStore(tx);
    const set = async () => {
      await models.get(name);
      await createModelVersionStore(tx).get(name, version);
      await models.setAlias(name, alias, version);
    };
    if (alias === CHAMPION_ALIAS) await createChampionStore(tx).recordChange(name, cause, set);
    else await set();
  },
);

export const deleteModelAlias = command(
  'model.deleteAlias',
  async (tx, { name, alias, cause }: { name: string; alias: string; cause: MoveCause }): Promise<void> => {
    const models = createRegisteredModelStore(tx);
    const remove = () => models.deleteAlias(name, alias);
    if (alias === CHAMPION_ALIAS) await createChampionStore(tx).recordChange(name, cause, remove);
    else await remove();
  },
);

export const createModelVersion = command(
  'modelVersion.create',
  (tx, input: NewModelVersion): Promise<number> => createModelVersionStore(tx).create(input),
);

export const describeModelVersion = command(
  'modelVersion.describe',
  async (
    tx,
    { name, version, description, now }: { name: string; version: number; description: string; now: number },
  ): Promise<void> => {
    const versions = createModelVersionStore(tx);
    await versions.get(name, version);
    await versions.describe(name, version, description, now);
  },
);

export const transitionStage = command(
  'modelVersion.transitionStage',
  async (
    tx,
    input: { name: string; version: number; stage: Stage; archiveExisting: boolean; cause: MoveCause },
  ): Promise<void> => {
    const { name, version, stage, cause } = input;
    const versions = createModelVersionStore(tx);
    await createChampionStore(tx).recordChange(name, cause, async () => {
      await versions.get(name, version);
      await versions.setStage(name, version, stage, cause.at);
      if (input.archiveExisting) await versions.archiveOthers(name, version, stage, cause.at);
      await createRegisteredModelStore(tx).touch(name, cause.at);
    });
  },
);

export const deleteModelVersion = command(
  'modelVersion.delete',
  async (
    tx,
    { name, version, cause }: { name: string; version: number; cause: MoveCause },
  ): Promise<void> => {
    const versions = createModelVersionStore(tx);
    const champions = createChampionStore(tx);
    const { from, to } = await champions.recordChange(name, cause, async () => {
      await versions.get(name, version);
      await versions.delete(name, version);
      await createRegisteredModelStore(tx).touch(name, cause.at);
    });
    // It may have been what a model server keeps warm for an undo.
    if (from === to) await champions.bumpRevision();
  },
);

export const setModelVersionTag = command(
  'modelVersion.setTag',
  async (tx, { name, version, tag }: { name: string; version: number; tag: Tag }): Promise<void> => {
    const versions = createModelVersionStore(tx);
    await versions.get(name, version);
    await versions.setTag(name, version, tag);
  },
);

export const deleteModelVersionTag = command(
  'modelVersion.deleteTag',
  async (tx, { name, version, key }: { name: string; version: number; key: string }): Promise<void> => {
    const versions = createModelVersionStore(tx);
    await versions.get(name, version);
    await versions.deleteTag(name, version, key);
  },
);

/** Audits what is no move from one version to another: a model renamed or deleted. */
async function auditAlone(tx: Tx, name: string, cause: MoveCause, evidence: object): Promise<void> {
  await appendAudit(tx, {
    at: cause.at,
    actor: cause.actor,
    action: `champion.${cause.action}`,
    subject: `models/${name}`,
    ...(cause.reason === undefined ? {} : { reason: cause.reason }),
    evidence,
  });
}

export const registryCommands: Command<any, any>[] = [
  createRegisteredModel,
  describeRegisteredModel,
  renameRegisteredModel,
  deleteRegisteredModel,
  setRegisteredModelTag,
  deleteRegisteredModelTag,
  setModelAlias,
  deleteModelAlias,
  createModelVersion,
  describeModelVersion,
  transitionStage,
  deleteModelVersion,
  setModelVersionTag,
  deleteModelVersionTag,
];
