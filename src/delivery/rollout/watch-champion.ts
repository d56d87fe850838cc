import type { Clock } from '../../platform/index.ts';
import { rolloutTimes } from '../delivery-policy.ts';
import type { Transition } from './advance-rollouts.ts';
import type { JudgeLabelled } from './judge-labelled.ts';
import type { Looks, Rollout } from './rollout-store.ts';

/** When the labels are looked at, as shares of the watch: few looks, each with much of the alpha. */
const LOOKS_AT = [1 / 8, 1 / 4, 1 / 2, 1];

type Seen = Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'>;

/**
 * After 100 %: judges the predecessor against the new champion on the labelled rows since the promotion, by the same
 * gate and with looks of its own. A predecessor that is better gets its place back.
 */
export async function watchChampion(
  { clock, judgeLabelled }: { clock: Clock; judgeLabelled: JudgeLabelled },
  rollout: Rollout,
): Promise<{ transition: Transition } | { noted: Seen } | undefined> {
  const now = clock.now();
  const { candidate, champion, gate, promotedAt, startedAt, looks: known } = rollout;
  const { watchMs } = rolloutTimes(rollout.policy);
  const from = promotedAt ?? startedAt;
  const due = LOOKS_AT.filter((share) => now - from >= share * watchMs).length;
  if (due <= (known['watch']?.n ?? 0)) return undefined;
  const isLast = due === LOOKS_AT.length;
  const judged = await judgeLabelled({
    rollout,
    challenger: champion,
    champion: candidate,
    from,
    ledger: `watch:${rollout.id}`,
    alpha: gate.alpha,
  });
  const looks: Looks = { ...known, watch: { k: judged?.k ?? known['watch']?.k ?? 0, n: due } };
  const evidence = judged?.evidence ?? { labelled: 0 };
  const seen: Seen = { looks, evidence: { ...rollout.evidence, watch: evidence }, lookedAt: now };
  const verdict = judged?.comparison?.verdict;
  const words = judged?.words ?? 'no labelled rows came';
  if (verdict === 'better') {
    const summary = `version ${champion} is better than ${candidate}, which took its place, and gets it back: ${words}`;
    return {
      transition: {
        change: { ...seen, state: 'undone', endedAt: now, weight: 0, note: summary },
        effect: 'undo',
        action: 'champion.undo',
        verdict: 'worse',
        outcome: 'undone',
        summary,
        evidence,
      },
    };
  }
  if (!isLast) return { noted: seen };
  const summary = `the watch is over, version ${candidate} stays: ${words}`;
  return {
    transition: {
      change: { ...seen, state: 'done', endedAt: now, note: summary },
      effect: 'none',
      action: 'rollout.done',
      verdict: verdict === undefined ? 'incomparable' : verdict === 'worse' ? 'better' : verdict,
      outcome: 'done',
      summary,
      evidence,
    },
  };
}
