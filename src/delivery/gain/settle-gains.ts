import { ApiError, type Clock, command, type Database } from '../../platform/index.ts';
import type { createBackgroundLooks } from '../rollout/look-in-background.ts';
import { createRolloutStore } from '../rollout/rollout-store.ts';
import type { JudgeLabelled, LabelledJudgement } from '../rollout/rollout-types.ts';
import { type Gain, measureGain } from './gain.ts';
import { createGainStore } from './gain-store.ts';

/** Writes down what a promotion has brought whose watch was ended early, by a further one or by hand. */
export const settleGain = command(
  'gain.settle',
  (tx, gain: Gain): Promise<void> => createGainStore(tx).put(gain),
);

/** What fails so often is given up, and what was known is kept; that a judge is busy or was ended is no failure. */
const MOST_FAILURES = 3;
/** Before the second attempt, by the platform's clock; each further one waits twice as long. */
const FIRST_WAIT_MS = 60_000;
const LONGEST_WAIT_MS = 6 * 3_600_000;

interface Tried {
  attempts: number;
  failures: number;
  nextAt: number;
}

export const settlementOf = ({ rolloutId }: Gain): string => `${rolloutId}/gain`;

/**
 * Scores both versions of a promotion whose watch was ended early, on the rows of the time in which the promoted one
 * served, once the watch would have ended by itself: until then labels come late. It decides nothing and spends nothing.
 */
export function createGainSettler({
  database,
  clock,
  judgeLabelled,
  background,
}: {
  database: Database;
  clock: Clock;
  judgeLabelled: JudgeLabelled;
  background: ReturnType<typeof createBackgroundLooks>;
}) {
  const gains = createGainStore(database.reader);
  const rollouts = createRolloutStore(database.reader);
  const tried = new Map<string, Tried>();

  async function begin(gain: Gain, key: string): Promise<void> {
    const rollout = await rollouts.get(gain.rolloutId);
    const until = Math.min(rollout.endedAt ?? gain.settleAt, gain.settleAt);
    const asked = { rollout, challenger: gain.predecessor, champion: gain.version, from: gain.from };
    background.begin(key, async (signal) => {
      const question = { ...asked, now: until - 1, ledger: undefined, alpha: rollout.gate.alpha, signal };
      return { until, judged: await judgeLabelled(question) };
    });
  }

  return {
    /** `watched` are the rollouts whose watch goes on: it measures by itself. */
    async findDue(watched: ReadonlySet<string>): Promise<Gain[]> {
      const now = clock.now();
      return (await gains.open()).filter((gain) => gain.settleAt <= now && !watched.has(gain.rolloutId));
    },

    /** Begins the look, or writes down what it saw. */
    async settle(gain: Gain): Promise<void> {
      const key = settlementOf(gain);
      const look = background.find<{ judged: LabelledJudgement | undefined; until: number }>(key);
      if (look === undefined) {
        const isDue = clock.now() >= (tried.get(key)?.nextAt ?? Number.NEGATIVE_INFINITY);
        if (isDue && !background.has(key)) await begin(gain, key);
        return;
      }
      const failure = 'error' in look ? noteFailure(key, look.error) : undefined;
      if (failure === undefined || failure.failures >= MOST_FAILURES) {
        const found =
          'error' in look
            ? { until: gain.settleAt, judged: { comparison: undefined, words: look.error.message } }
            : look.result;
        await database.execute(settleGain, measureGain(gain, { ...found, at: clock.now(), isFinal: true }));
        tried.delete(key);
      }
      background.drop(key);
    },
  };

  function noteFailure(key: string, error: Error): Tried {
    const { attempts, failures } = tried.get(key) ?? { attempts: 0, failures: 0 };
    const isBusy = error instanceof ApiError && error.code === 'TEMPORARILY_UNAVAILABLE';
    const noted = {
      attempts: attempts + 1,
      failures: failures + (isBusy ? 0 : 1),
      nextAt: clock.now() + Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(attempts, 20)),
    };
    tried.set(key, noted);
    return noted;
  }
}
