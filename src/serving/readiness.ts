import type { ModelRoster } from './versions/model-roster.ts';

/** The answer of `/ready`. */
export interface Readiness {
  isReady: boolean;
  status: 'ready' | 'starting' | 'loading' | 'draining';
  reason?: string;
}

/**
 * Tells whether this server should get traffic: when every desired model is warm (nothing desired is ready too), and
 * not while it drains. Once ready, a model that is desired only later does not take the others' traffic away while it
 * loads or fails to: until it is warm it answers 503 for itself.
 */
export function createReadiness(roster: ModelRoster, isStopping: () => boolean) {
  let wasReady = false;

  return function readiness(): Readiness {
    if (isStopping()) return { isReady: false, status: 'draining', reason: 'the server is stopping' };
    if (!roster.isKnown) {
      return {
        isReady: false,
        status: 'starting',
        reason: 'it is not known what to serve: the control plane has not answered, and nothing is cached',
      };
    }
    const names = roster.desiredNames();
    const cold = names.filter((name) => {
      const champion = roster.find(name)?.champion;
      if (champion !== undefined) return champion.lostBecause !== undefined;
      return !wasReady;
    });
    const isAnyWarm = names.some(
      (name) => roster.find(name)?.champion.lostBecause === undefined && roster.find(name),
    );
    if (names.length === 0 || (cold.length === 0 && isAnyWarm)) {
      wasReady = true;
      return { isReady: true, status: 'ready' };
    }
    const reasons = (cold.length > 0 ? cold : names).map((name) => {
      const problem = roster.statusOf(name)?.problem;
      return `${name} is not warm${problem === undefined ? '' : `: ${problem}`}`;
    });
    return { isReady: false, status: 'loading', reason: reasons.join('; ') };
  };
}
