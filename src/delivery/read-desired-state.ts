import type { Database } from '../platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  createRegisteredModelStore,
  type ModelVersion,
} from '../registry/index.ts';
import type { DesiredModel, DesiredState, DesiredVersion } from '../serving/contract.ts';

/**
 * What the model servers should serve: of every model its champion, and beside it what a rollback would bring back
 * (else what served last), so that either is warm when it is needed.
 *
 * A champion that cannot be served is told with its reason, and what served before goes on serving: a broken version
 * takes no traffic from a good one.
 */
export function createDesiredStateReader({ database }: { database: Database }) {
  const champions = createChampionStore(database.reader);
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  let known: DesiredState | undefined;

  async function read(): Promise<DesiredState> {
    const revision = String(await champions.revision());
    if (known?.revision === revision) return known;
    const state: DesiredState = { revision, models: [], not_servable: [] };
    for (const { name } of await models.list()) {
      const champion = await champions.find(name);
      if (!champion) continue;
      const version = await versions.find(name, champion.version);
      if (!version) continue;
      const before = (await champions.findRollbackTarget(name, champion.version))?.version;
      if (version.servable) {
        const warm = before ?? (await findLastServed(name, champion.version));
        state.models.push(toDesired(name, version, warm));
        continue;
      }
      const reason = version.notServableReason ?? 'it has no model file';
      state.not_servable.push({
        name,
        version: String(version.version),
        reason: before ? `${reason}; version ${before.version} goes on serving` : reason,
      });
      if (before) state.models.push(toDesired(name, before, undefined));
    }
    // Kept only if nothing moved meanwhile, else a later state would stand under an earlier revision.
    if (String(await champions.revision()) !== revision) return read();
    known = state;
    return state;
  }

  async function findLastServed(name: string, current: number): Promise<ModelVersion | undefined> {
    const from = (await champions.lastMove(name))?.from_version;
    if (from == null || from === current) return undefined;
    const version = await versions.find(name, from);
    return version?.servable ? version : undefined;
  }

  return {
    read,
    revision: async (): Promise<string> => String(await champions.revision()),
  };
}

function toDesired(name: string, champion: ModelVersion, previous: ModelVersion | undefined): DesiredModel {
  return {
    name,
    champion: toDesiredVersion(champion),
    ...(previous ? { previous: toDesiredVersion(previous) } : {}),
  };
}

function toDesiredVersion(version: ModelVersion): DesiredVersion {
  return {
    version: String(version.version),
    ...(version.runId ? { run_id: version.runId } : {}),
    sha256: version.sha256 ?? '',
    size_bytes: version.sizeBytes ?? 0,
  };
}
