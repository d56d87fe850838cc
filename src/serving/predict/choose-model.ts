import { ApiError, nearestName } from '../../platform/index.ts';
import type { Variant } from '../contract.ts';
import type { Candidate } from '../versions/candidate.ts';
import type { ModelRoster } from '../versions/model-roster.ts';
import type { ServedVersion } from '../versions/served-version.ts';

export interface Chosen {
  served: ServedVersion;
  variant: Variant;
  /** The rollout whose share of the requests is to be drawn. */
  candidate?: Candidate | undefined;
}

/** Finds the version that a path asks for, or says in words why there is none. */
export function createModelChooser(roster: ModelRoster, defaultModel: string | undefined) {
  /** The model that paths without a name mean. */
  function defaultName(): string {
    if (defaultModel !== undefined) return defaultModel;
    const names = roster.names();
    if (names.length === 1) return names[0] as string;
    if (!roster.isKnown) throw unavailable('It is not known yet what this server should serve');
    if (names.length === 0) {
      throw unavailable('No model is served here yet: train one and promote it, then ask again');
    }
    throw new ApiError(
      'BAD_REQUEST',
      `This server has ${names.length} models: ${listed(names)}. Ask /models/{name}/predict, or start it with --default-model`,
    );
  }

  function champion(name: string): Chosen {
    const found = roster.find(name);
    if (found !== undefined)
      return { served: found.champion, variant: 'champion', candidate: found.candidate };
    throw notServed(name);
  }

  function notServed(name: string): ApiError {
    const status = roster.statusOf(name);
    if (status !== undefined) {
      const { desiredVersion, problem } = status;
      const why = problem === undefined ? 'it is being loaded' : problem;
      return unavailable(`Model '${name}' version ${desiredVersion} is not ready: ${why}`);
    }
    if (!roster.isKnown) return unavailable('It is not known yet what this server should serve');
    const names = roster.names();
    const nearest = nearestName(name, names);
    return new ApiError(
      'RESOURCE_DOES_NOT_EXIST',
      `No model '${name}' is served here${nearest === undefined ? '.' : `; did you mean '${nearest}'?`} ` +
        (names.length === 0 ? 'None is, so far' : `Served: ${listed(names)}`),
      { models: names },
    );
  }

  function version(name: string, wanted: string): Chosen {
    const found = roster.find(name);
    if (found === undefined) throw notServed(name);
    if (found.champion.desired.version === wanted) return { served: found.champion, variant: 'champion' };
    if (found.previous?.desired.version === wanted) return { served: found.previous, variant: 'previous' };
    if (found.candidate?.served.desired.version === wanted) {
      return { served: found.candidate.served, variant: 'canary' };
    }
    const warm = [found.champion, found.candidate?.served, found.previous].flatMap((one) =>
      one === undefined ? [] : [one.desired.version],
    );
    throw new ApiError(
      'RESOURCE_DOES_NOT_EXIST',
      `Version ${wanted} of model '${name}' is not warm here; warm: ${warm.join(', ')}`,
      { versions: warm },
    );
  }

  /** Every version of a model that is warm, the champion first. */
  function warm(name: string): ServedVersion[] {
    const { served, candidate } = champion(name);
    const previous = roster.find(name)?.previous;
    return [served, ...(candidate ? [candidate.served] : []), ...(previous ? [previous] : [])];
  }

  return { defaultName, champion, version, warm };
}

export type ModelChooser = ReturnType<typeof createModelChooser>;

function listed(names: readonly string[]): string {
  const shown = names.slice(0, 20).join(', ');
  return names.length > 20 ? `${shown} and ${names.length - 20} more` : shown;
}

function unavailable(message: string): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', message);
}
