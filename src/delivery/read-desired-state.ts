import type { Database } from '../platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  createRegisteredModelStore,
  type ModelVersion,
} from '../registry/index.ts';
import type { DesiredModel, DesiredRollout, DesiredState, DesiredVersion } from '../serving/contract.ts';
import type { PolicyOf } from './delivery-policy.ts';
import { createRolloutStore, type Rollout } from './rollout/rollout-store.ts';
import { UNDER_WAY } from './tables.ts';

/** Looks at a state that others move meanwhile, before one is told that may be behind. */
const READ_ATTEMPTS = 3;

/**
 * What the model servers should serve: of every model its champion, and beside it what a rollback would bring back
 * (else what served last), so that either is warm when it is needed, and the version that is being rolled out.
 *
 * A champion that cannot be served is told with its reason, and what served before goes on serving: a broken version
 * takes no traffic from a good one.
 */
export function createDesiredStateReader({
  database,
  policyOf,
}: {
  database: Database;
  policyOf?: PolicyOf | undefined;
}) {
  const champions = createChampionStore(database.reader);
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const rollouts = createRolloutStore(database.reader);
  const currentRevision = async () => String(await champions.revision());
  let known: DesiredState | undefined;
  let building: { revision: string; outcome: ReturnType<typeof build> } | undefined;

  /** Those who ask for the same revision at the same time share one look at the tables. */
  async function read(): Promise<DesiredState> {
    for (let attempt = 1; ; attempt++) {
      const revision = await currentRevision();
      if (known?.revision === revision) return known;
      if (building?.revision !== revision) {
        const mine = { revision, outcome: build(revision) };
        building = mine;
        const forget = () => {
          if (building === mine) building = undefined;
        };
        mine.outcome.then(forget, forget);
      }
      const { state, holds } = await building.outcome;
      // Under the earlier revision a server asks again at once, so that a state which moves all the time is told too.
      if (holds || attempt === READ_ATTEMPTS) return state;
    }
  }

  async function build(revision: string): Promise<{ state: DesiredState; holds: boolean }> {
    const state: DesiredState = { revision, models: [], not_servable: [] };
    const underWay = new Map((await rollouts.inStates(UNDER_WAY)).map((rollout) => [rollout.model, rollout]));
    for (const { name } of await models.list()) {
      const champion = await champions.find(name);
      if (!champion) continue;
      const version = await versions.find(name, champion.version);
      if (!version) continue;
      const before = (await champions.findRollbackTarget(name, champion.version))?.version;
      if (version.servable) {
        const warm = before ?? (await findLastServed(name, champion.version));
        const rollout = await findRollout(underWay.get(name), version);
        state.models.push({
          ...toDesired(name, version, warm),
          ...(rollout ? { rollout } : {}),
          ...(await segmentsOf(name)),
        });
        continue;
      }
      const reason = version.notServableReason ?? 'it has no model file';
      state.not_servable.push({
        name,
        version: String(version.version),
        reason: before ? `${reason}; version ${before.version} goes on serving` : reason,
      });
      if (before) state.models.push({ ...toDesired(name, before, undefined), ...(await segmentsOf(name)) });
    }
    // Kept only if nothing moved meanwhile, else a later state would stand under an earlier revision.
    const holds = (await currentRevision()) === revision;
    if (holds) known = state;
    return { state, holds };
  }

  async function segmentsOf(name: string): Promise<{ segments?: string[] }> {
    try {
      const { segments = [] } = (await policyOf?.(name)) ?? {};
      return segments.length === 0 ? {} : { segments: [...segments] };
    } catch {
      // What serves does not hang on how it is watched.
      return {};
    }
  }

  /** A rollout whose champion serves no more is over, even before anybody has ended it. */
  async function findRollout(
    rollout: Rollout | undefined,
    champion: ModelVersion,
  ): Promise<DesiredRollout | undefined> {
    if (rollout === undefined || rollout.champion !== champion.version) return undefined;
    const candidate = await versions.find(rollout.model, rollout.candidate);
    if (!candidate?.servable) return undefined;
    const { sticky } = rollout.policy;
    return {
      id: rollout.id,
      candidate: toDesiredVersion(candidate),
      mode: (rollout.resumeState ?? rollout.state) === 'shadow' ? 'shadow' : 'canary',
      weight: rollout.weight / 100,
      ...(sticky && 'header' in sticky ? { sticky_header: sticky.header } : {}),
      ...(sticky && 'column' in sticky ? { sticky_column: sticky.column } : {}),
    };
  }

  async function findLastServed(name: string, current: number): Promise<ModelVersion | undefined> {
    const from = (await champions.lastMove(name))?.from_version;
    if (from == null || from === current) return undefined;
    const version = await versions.find(name, from);
    return version?.servable ? version : undefined;
  }

  return { read, revision: currentRevision };
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
