import type { Database } from './platform/index.ts';

/** The slices that a look at the whole platform asks; handed in, since they load while the database opens. */
interface StatusSlices {
  datasets: typeof import('./datasets/index.ts');
  registry: typeof import('./registry/index.ts');
  tracking: typeof import('./tracking/index.ts');
}

/** Counts what there is, and tells of every model what serves. */
export function createStatusReader({ reader }: Database, { datasets, registry, tracking }: StatusSlices) {
  const models = registry.createRegisteredModelStore(reader);
  const versions = registry.createModelVersionStore(reader);
  const champions = registry.createChampionStore(reader);
  const counted = {
    experiments: tracking.createExperimentStore(reader),
    runs: tracking.createRunStore(reader),
    models,
    versions,
    datasets: datasets.createDatasetStore(reader),
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
