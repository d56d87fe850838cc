import type {
  DesiredState,
  DesiredVersion,
  FetchModel,
  ResolveDesiredState,
} from '../../src/serving/index.ts';
import { sha256Of } from './served-models.ts';

/**
 * Stands for the control plane of a model server: says what is desired, waits as its long poll does, hands out bytes.
 * It can be away, and it can hand out the wrong bytes.
 */
export function createDesiredSource() {
  let revision = 0;
  let state: DesiredState | undefined;
  let isAway = false;
  const bytesOf = new Map<string, Uint8Array>();
  const waiting = new Set<() => void>();
  const fetched: string[] = [];
  let beforeFetch: () => Promise<void> = async () => {};

  function wake(): void {
    for (const resume of waiting) resume();
    waiting.clear();
  }

  const resolveDesiredState: ResolveDesiredState = async (known, signal) => {
    for (;;) {
      signal.throwIfAborted();
      if (isAway) throw new Error('the control plane is away');
      if (state !== undefined && state.revision !== known) return structuredClone(state);
      await new Promise<void>((resolve) => {
        waiting.add(resolve);
        signal.addEventListener('abort', () => resolve(), { once: true });
      });
    }
  };

  const fetchModel: FetchModel = async ({ name, version, sha256 }, signal) => {
    fetched.push(`${name}/${version}`);
    await beforeFetch();
    signal.throwIfAborted();
    if (isAway) throw new Error('the control plane is away');
    const bytes = bytesOf.get(sha256);
    if (bytes === undefined) throw new Error(`no bytes of ${name}/${version}`);
    return bytes.slice();
  };

  return {
    resolveDesiredState,
    fetchModel,
    /** What was fetched so far, as name/version. */
    fetched,

    /** Keeps bytes and says how they are desired. `claimed` are the bytes whose digest is told instead. */
    version(number: string, bytes: Uint8Array, claimed = bytes): DesiredVersion {
      const sha256 = sha256Of(claimed);
      bytesOf.set(sha256, bytes);
      return { version: number, sha256, size_bytes: claimed.byteLength };
    },

    desire(models: DesiredState['models'], notServable: DesiredState['not_servable'] = []): void {
      revision += 1;
      state = { revision: String(revision), models, not_servable: notServable };
      wake();
    },

    goAway(): void {
      isAway = true;
      wake();
    },

    comeBack(): void {
      isAway = false;
    },

    holdFetches(until: Promise<void>): void {
      beforeFetch = () => until;
    },
  };
}

export type DesiredSource = ReturnType<typeof createDesiredSource>;
