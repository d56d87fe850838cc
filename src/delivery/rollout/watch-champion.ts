import { rolloutTimes } from '../delivery-policy.ts';
import { type Gain, measureGain, openGain } from '../gain/gain.ts';
import type { Looks, Rollout } from './rollout-store.ts';
import type { LabelledJudgement, LabelledQuestion, Transition } from './rollout-types.ts';

/** When the labels are looked at, as shares of the watch: few looks, each with much of the alpha. */
const LOOKS_AT = [1 / 8, 1 / 4, 1 / 2, 1];

type Seen = Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'>;

/**
 * After 100 %: asks whether the predecessor is better than the new champion on the labelled rows since the promotion, by
 * the same gate and with looks of its own. Undefined when no look is due; `n` is how many are by now.
 */
export function dueWatchLooks(
  rollout: Rollout,
  now: number,
): { n: number; question: Omit<LabelledQuestion, 'signal'> } | undefined {
  const { candidate, champion, gate, promotedAt, startedAt, looks } = rollout;
  const { watchMs } = rolloutTimes(rollout.policy);
  const from = promotedAt ?? startedAt;
  const n = LOOKS_AT.filter((share) => now - from >= share * watchMs).length;
  if (n <= (looks['watch']?.n ?? 0)) return undefined;
  const ledger = `watch:${rollout.id}`;
  return {
    n,
    question: { rollout, challenger: champion, champion: candidate, from, now, ledger, alpha: gate.alpha },
  };
}

/**
 * What follows from a look of the watch: a predecessor that is better gets its place back. Either way the look says what
 * the promotion has brought so far.
 */
export function decideWatch(
  rollout: Rollout,
  { n, at, judged }: { n: number; at: number; judged: LabelledJudgement | undefined },
  before: Gain | undefined,
): { transition: Transition; gain: Gain } | { noted: Seen; gain: Gain } {
  const { candidate, champion, looks: known } = rollout;
  const looks: Looks = { ...known, watch: { k: judged?.k ?? known['watch']?.k ?? 0, n } };
  const evidence = judged?.evidence ?? { labelled: 0 };
  const seen: Seen = { looks, evidence: { ...rollout.evidence, watch: evidence }, lookedAt: at };
  const verdict = judged?.comparison?.verdict;
  const words = judged?.words ?? 'no labelled rows came';
  const isEnd = verdict === 'better' || n >= LOOKS_AT.length;
  const gain = measureGain(before ?? openGain(rollout), { judged, until: at + 1, at, isFinal: isEnd });
  if (verdict === 'better') {
    const summary = `version ${champion} is better than ${candidate}, which took its place, and gets it back: ${words}`;
    return {
      gain,
      transition: {
        change: { ...seen, state: 'undone', endedAt: at, weight: 0, note: summary },
        effect: 'undo',
        action: 'champion.undo',
        verdict: 'worse',
        outcome: 'undone',
        summary,
        evidence,
      },
    };
  }
  if (!isEnd) return { gain, noted: seen };
  const summary = `the watch is over, version ${candidate} stays: ${words}`;
  return {
    gain,
    transition: {
      change: { ...seen, state: 'done', endedAt: at, note: summary },
      effect: 'none',
      action: 'rollout.done',
      verdict: verdict === undefined ? 'incomparable' : verdict === 'worse' ? 'better' : verdict,
      outcome: 'done',
      summary,
      evidence,
    },
  };
}
