import type { DesiredRollout, DesiredState, DesiredVersion } from '../contract.ts';

/** A version that should be warm. */
export interface Wanted {
  key: string;
  name: string;
  desired: DesiredVersion;
  /** A shadow runs in a thread of its own, so that it takes no time from answers. */
  staysInWorker: boolean;
}

/** What a version is known by: another artifact under the same number is another version. */
export function keyOf(name: string, { version, sha256 }: DesiredVersion): string {
  return `${name}\n${version}\n${sha256}`;
}

/** In the order in which they are loaded. */
export function wantedVersions(
  { models }: DesiredState,
  candidateKey: (name: string, rollout: DesiredRollout) => string,
): Wanted[] {
  const champions = models.map(({ name, champion }) => ({
    key: keyOf(name, champion),
    name,
    desired: champion,
    staysInWorker: false,
  }));
  const candidates = models.flatMap(({ name, rollout }) => {
    if (rollout === undefined) return [];
    const key = candidateKey(name, rollout);
    return [{ key, name, desired: rollout.candidate, staysInWorker: key !== keyOf(name, rollout.candidate) }];
  });
  const predecessors = models.flatMap(({ name, previous }) =>
    previous ? [{ key: keyOf(name, previous), name, desired: previous, staysInWorker: false }] : [],
  );
  const seen = new Set<string>();
  return [...champions, ...candidates, ...predecessors].filter(({ key }) => !seen.has(key) && seen.add(key));
}
