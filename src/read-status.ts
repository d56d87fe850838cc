import { createDatasetStore } from './datasets/index.ts';
import type { Database } from './platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  createRegisteredModelStore,
} from './registry/index.ts';
import { createExperimentStore, createRunStore } from './tracking/index.ts';

/** Counts what there is, and tells of every model what serves. */
export function createStatusReader({ reader }: Database) {
  const models = createRegisteredModelStore(reader);
  const versions = createModelVersionStore(reader);
  const champions = createChampionStore(reader);
  const counted = {
    experiments: createExperimentStore(reader),
    runs: createRunStore(reader),
    models,
    versions,
    datasets: createDatasetStore(reader),
  };

  async function championOf(name: string) {
    const champion = await champions.find(name);
    const found = champion && (await versions.find(name, champion.version));
    return found && { version: String(found.version), servable: found.servable };
  }

  return {
    async counts(): Promise<Record<string, number>> {
      const each = Object.entries(counted).map(async ([what, store]) => [what, await store.count()] as const);
      return Object.fromEntries(await Promise.all(each));
    },
    async models() {
      const all = await models.list();
      return Promise.all(all.map(async ({ name }) => ({ name, champion: await championOf(name) })));
    },
  };
}
