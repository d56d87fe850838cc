import type { Logger } from '../../platform/index.ts';
import type { DesiredRollout, DesiredState, DesiredVersion } from '../contract.ts';
import type { Candidate } from './candidate.ts';
import { createLoadFailures } from './load-failures.ts';
import type { PreparedModel } from './prepare-model.ts';
import type { ServedVersion } from './served-version.ts';
import { keyOf, type Wanted, wantedVersions } from './wanted-versions.ts';

/** A model that should answer: who answers for it now, and why another one that should does not. */
export interface ModelStatus {
  name: string;
  /** The version that answers; undefined when none is warm. */
  champion: ServedVersion | undefined;
  /** Kept warm, so that an undo is the move of a pointer. */
  previous: ServedVersion | undefined;
  desiredVersion: string;
  problem: string | undefined;
  /** The rollout under way, and why its candidate takes no part in it. */
  rollout: { desired: DesiredRollout; isWarm: boolean; problem: string | undefined } | undefined;
}

/** Who answers for one model. */
export interface ServingModel {
  champion: ServedVersion;
  previous: ServedVersion | undefined;
  candidate: Candidate | undefined;
}

export interface RosterOptions {
  prepare: (
    model: DesiredVersion & { name: string },
    onLost: (reason: string) => void,
    signal: AbortSignal,
    staysInWorker: boolean,
  ) => Promise<PreparedModel>;
  serve: (
    name: string,
    desired: DesiredVersion,
    prepared: PreparedModel,
    loadSeconds: number,
  ) => ServedVersion;
  /** Called whenever who serves has changed or nothing more is to be done, with what really serves. */
  onChange: (effective: DesiredState, isSettled: boolean) => void;
  countFailure: (name: string, version: string) => void;
  logger: Logger;
}

/**
 * Brings what serves to what is desired, one load at a time. A version takes over only when it is warm, and the one
 * before serves until then; a version that fails to load is tried again, and its failure is told.
 */
export function createModelRoster(options: RosterOptions) {
  const { prepare, serve, onChange, logger } = options;
  const warm = new Map<string, ServedVersion>();
  const serving = new Map<string, ServingModel>();
  const failures = createLoadFailures(options);
  const retiring = new Set<Promise<void>>();
  let desired: DesiredState | undefined;
  let names: string[] = [];
  let segments = new Map<string, readonly string[] | undefined>();
  let loading: { key: string; cancel: AbortController; done: Promise<void> } | undefined;
  let retryTimer: NodeJS.Timeout | undefined;
  let isClosed = false;

  /** Idempotent: looks at what is desired and what is warm, moves pointers, frees the rest, starts the next load. */
  function apply(): void {
    if (desired === undefined || isClosed) return;
    const wanted = wantedVersions(desired, candidateKey);
    switchModels(desired);
    retireUnneeded(wanted);
    const isSettled = loadNext(wanted);
    onChange(effectiveState(desired), isSettled);
  }

  function switchModels({ models, not_servable }: DesiredState): void {
    for (const model of models) {
      const now = serving.get(model.name);
      const champion = warm.get(keyOf(model.name, model.champion)) ?? now?.champion;
      if (champion === undefined) continue;
      const previous = model.previous && warm.get(keyOf(model.name, model.previous));
      if (champion !== now?.champion) {
        logger.info(
          {
            model: model.name,
            from: now?.champion.desired.version,
            to: champion.desired.version,
            place: champion.place,
          },
          'model version serves',
        );
      }
      const candidate = model.rollout && warm.get(candidateKey(model.name, model.rollout));
      serving.set(model.name, {
        champion,
        previous: previous === champion ? undefined : previous,
        candidate:
          model.rollout && candidate && candidate !== champion
            ? { served: candidate, rollout: model.rollout }
            : undefined,
      });
    }
    // A champion that cannot be served takes nothing from the version that serves.
    const named = new Set([...models, ...not_servable].map(({ name }) => name));
    for (const name of serving.keys()) if (!named.has(name)) serving.delete(name);
  }

  /** What a rollout's candidate is known by: one that would run in a worker anyway need not be loaded twice. */
  function candidateKey(name: string, { candidate, mode }: DesiredRollout): string {
    const key = keyOf(name, candidate);
    if (mode !== 'shadow' || warm.get(key)?.place === 'worker-thread') return key;
    return `${key}\nshadow`;
  }

  function retireUnneeded(wanted: Wanted[]): void {
    const needed = new Set(wanted.map(({ key }) => key));
    const held = new Set<ServedVersion>();
    for (const { champion, previous } of serving.values()) {
      held.add(champion);
      if (previous) held.add(previous);
    }
    for (const [key, version] of warm) {
      if (needed.has(key) || held.has(version)) continue;
      warm.delete(key);
      const retired = version
        .retire()
        .catch((error: unknown) =>
          logger.warn({ err: error, model: version.name }, 'releasing a model failed'),
        )
        .finally(() => {
          retiring.delete(retired);
          apply();
        });
      retiring.add(retired);
    }
    failures.keepOnly(needed);
    if (loading && !needed.has(loading.key))
      loading.cancel.abort(new Error('the version is not wanted any more'));
  }

  /** Champions, then candidates, then predecessors. Gives whether nothing is left to do. */
  function loadNext(wanted: Wanted[]): boolean {
    // One load at a time, and none before the memory of what is retired is free again.
    if (loading || retiring.size > 0) return false;
    clearTimeout(retryTimer);
    const missing = wanted.filter(({ key }) => !warm.has(key));
    const time = performance.now();
    const due = missing.find(({ key }) => failures.retryAt(key) <= time);
    if (due) load(due);
    else if (missing.length > 0) {
      const next = Math.min(...missing.map(({ key }) => failures.retryAt(key)));
      retryTimer = setTimeout(apply, Math.max(10, next - time));
      retryTimer.unref();
    }
    return due === undefined;
  }

  function load({ key, name, desired: version, staysInWorker }: Wanted): void {
    const cancel = new AbortController();
    const started = performance.now();
    let served: ServedVersion | undefined;
    let placed = key;
    const onLost = (reason: string) => {
      served?.lose(reason);
      if (served === undefined || warm.get(placed) !== served) return;
      warm.delete(placed);
      failures.noteLoss(key, name, version, reason);
      apply();
    };

    const done = prepare({ ...version, name }, onLost, cancel.signal, staysInWorker)
      .then((prepared) => {
        if (isClosed || cancel.signal.aborted) return prepared.runner.release();
        served = serve(name, version, prepared, (performance.now() - started) / 1000);
        if (staysInWorker && !prepared.isFast) placed = keyOf(name, version);
        warm.set(placed, served);
        failures.forgive(key);
        return undefined;
      })
      .catch((error: unknown) => {
        if (!cancel.signal.aborted) failures.noteFailure(key, name, version, error as Error);
      })
      .finally(() => {
        loading = undefined;
        apply();
      });
    loading = { key, cancel, done };
  }

  /** What to start with when nobody can be asked: the versions that serve now, not those that still have to load. */
  function effectiveState(state: DesiredState): DesiredState {
    let isComplete = true;
    const models = state.models.map((model) => {
      const now = serving.get(model.name);
      if (now === undefined || now.champion.desired === model.champion) return model;
      if (keyOf(model.name, now.champion.desired) === keyOf(model.name, model.champion)) return model;
      isComplete = false;
      return { ...model, champion: now.champion.desired, previous: now.previous?.desired };
    });
    for (const { name } of state.not_servable) {
      const now = serving.get(name);
      if (now === undefined || models.some((model) => model.name === name)) continue;
      models.push({ name, champion: now.champion.desired, previous: now.previous?.desired });
    }
    return { ...state, revision: isComplete ? state.revision : '', models };
  }

  function statusOf(name: string): ModelStatus | undefined {
    const model = desired?.models.find((candidate) => candidate.name === name);
    const refused = desired?.not_servable.find((candidate) => candidate.name === name);
    const now = serving.get(name);
    if (model === undefined && refused === undefined) return undefined;
    const failure = model && failures.reasonOf(keyOf(name, model.champion));
    const rollout = model?.rollout;
    return {
      name,
      champion: now?.champion,
      previous: now?.previous,
      desiredVersion: model?.champion.version ?? refused?.version ?? '',
      problem: now?.champion.lostBecause ?? failure ?? refused?.reason,
      rollout: rollout && {
        desired: rollout,
        isWarm: now?.candidate !== undefined,
        problem: failures.reasonOf(candidateKey(name, rollout)),
      },
    };
  }

  return {
    /** Takes a new desired state. What is warm already serves when this returns. */
    follow(state: DesiredState): void {
      desired = state;
      segments = new Map(state.models.map((model) => [model.name, model.segments]));
      names = [...new Set([...state.models, ...state.not_servable].map(({ name }) => name))].sort();
      apply();
    },

    /** Whether it is known what should serve. */
    get isKnown(): boolean {
      return desired !== undefined;
    },

    get isLoading(): boolean {
      return loading !== undefined;
    },

    /** The versions that answer for a model; undefined when none does. */
    find: (name: string) => serving.get(name),

    statusOf,

    /** A warm version by its number, in whatever part; undefined when it is not warm. */
    findWarm: (name: string, version: string): ServedVersion | undefined =>
      [...warm.values()].find((one) => one.name === name && one.desired.version === version),

    /** Columns whose values of a model's rows are profiled apart. */
    segmentsOf: (name: string): readonly string[] | undefined => segments.get(name),

    /** Names of the desired models, also of those whose champion cannot be served. */
    names: (): readonly string[] => names,

    /** Every desired model, also those whose champion cannot be served. */
    statuses: (): ModelStatus[] => names.map((name) => statusOf(name) as ModelStatus),

    /** Names of the models that have to be warm before this server is ready. */
    desiredNames: (): string[] => (desired?.models ?? []).map(({ name }) => name),

    /** Whether the cache has to keep these bytes. */
    needs(sha256: string): boolean {
      const states = desired === undefined ? [] : [desired, effectiveState(desired)];
      return states.some(({ models }) =>
        models.some(({ champion, previous, rollout }) =>
          [champion, previous, rollout?.candidate].some((one) => one?.sha256 === sha256),
        ),
      );
    },

    /** Lets every version finish what it has, then frees it. */
    async close(): Promise<void> {
      isClosed = true;
      clearTimeout(retryTimer);
      loading?.cancel.abort(new Error('the model server stops'));
      await loading?.done;
      await Promise.all([...retiring, ...[...warm.values()].map((version) => version.retire())]);
      warm.clear();
      serving.clear();
    },
  };
}

export type ModelRoster = ReturnType<typeof createModelRoster>;
