import type { JobsPort } from '../pipeline-deps.ts';
import type { PipelineStore } from '../pipeline-store.ts';
import { RETRAIN_FLOW } from '../retraining/retrain-input.ts';
import type { Cause } from './find-causes.ts';

const MINUTE_MS = 60_000;
/** How long after a failure the first training is tried again, in real time: events may stand still without a model. */
export const FIRST_PAUSES_MS: readonly number[] = [MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS];
const RUNS_SEEN = 20;

/** The first training as it stands: to be started, or why not now. */
export type FirstAttempt = { cause: Cause; waits?: string };

/** Tries the first training of a model again when it failed, a few times for the same rows. */
export function createFirstRetries(deps: {
  store: Pick<PipelineStore, 'findDecision'>;
  jobs: () => JobsPort;
  realNow?: (() => number) | undefined;
}) {
  const { store, realNow = () => performance.now() } = deps;
  /** When a failure was seen first, by the key of its decision. */
  const failedAt = new Map<string, number>();

  /** What is to be done about the first training now; undefined while an attempt is under way or has succeeded. */
  return async function attemptOf(model: string, first: Cause): Promise<FirstAttempt | undefined> {
    let before: { key: string; runId: string | undefined } | undefined;
    for (let attempt = 1; ; attempt++) {
      const key = attempt === 1 ? first.key : `${first.key}/attempt-${attempt}`;
      const decision = await store.findDecision(key);
      if (decision?.outcome === 'started') {
        before = decision;
        continue;
      }
      if (before === undefined) return { cause: first };
      const { key: keyBefore, runId } = before;
      const runs = await deps.jobs().list({ flow: RETRAIN_FLOW, subject: model, limit: RUNS_SEEN });
      if (runs.find((run) => run.runId === runId)?.status !== 'failed') return undefined;
      const cause = { ...first, key, detail: { ...first.detail, attempt } };
      const pauseMs = FIRST_PAUSES_MS[attempt - 2];
      if (pauseMs === undefined) {
        const waits = `${runId} failed, the last of ${attempt - 1} attempts; another one is made when the data changes, or by hand`;
        return { cause, waits };
      }
      if (!failedAt.has(keyBefore)) failedAt.set(keyBefore, realNow());
      if (realNow() - (failedAt.get(keyBefore) as number) >= pauseMs) return { cause };
      return { cause, waits: `${runId} failed; it is tried again ${pauseMs / MINUTE_MS} min later` };
    }
  };
}
