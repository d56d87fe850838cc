import type { RolloutLog, ShadowPairs } from '../delivery-deps.ts';
import { assessLoss, assessScores } from './assess-evidence.ts';
import { FEWEST_LABELLED } from './judge-labelled.ts';
import type { Rollout } from './rollout-store.ts';
import type { JudgeLabelled, LabelLook } from './rollout-types.ts';

/** Of the alpha of a whole rollout. */
const ALPHA_SHARE = 1 / 2;
/** A kind of evidence is looked at again when there is so much more of it: few looks, each with more alpha. */
const GROWTH = 1.5;
/** Before a step is passed, what has come since is looked at too. */
const LAST_GROWTH = 1.05;
export const growthUntilLook = (isLast: boolean): number => (isLast ? LAST_GROWTH : GROWTH);

/** Windows that a rollout's time is cut into, whose labelled losses are compared in pairs. */
const WINDOWS = 12;
const WINDOW_STEPS_MS = [
  1000,
  5000,
  15_000,
  60_000,
  300_000,
  900_000,
  3_600_000,
  3 * 3_600_000,
  6 * 3_600_000,
  24 * 3_600_000,
];

/** Asks the log what the labels say of a rollout in a step, which may take minutes; changes nothing but the ledger. */
export async function lookAtLabels(
  { log, judgeLabelled }: { log: RolloutLog; judgeLabelled: JudgeLabelled },
  { rollout, now, isLast, signal }: { rollout: Rollout; now: number; isLast: boolean; signal: AbortSignal },
): Promise<LabelLook> {
  const { model, startedAt } = rollout;
  const isShadow = (rollout.resumeState ?? rollout.state) === 'shadow';
  const { windows, shadowPairs, scores } = await log.compareVariants({
    model,
    from: startedAt,
    to: now + 1,
    windowMs: windowFor(now - startedAt),
    champion: String(rollout.champion),
    candidate: String(rollout.candidate),
  });
  signal.throwIfAborted();
  const loss = assessLoss(isShadow ? shadowWindows(shadowPairs) : windows, rollout.gate.alpha);
  const labelled = windows.reduce((all, each) => all + each.champion.labelled + each.candidate.labelled, 0);
  const last = rollout.looks['labels']?.n ?? 0;
  const isDue = labelled >= FEWEST_LABELLED && labelled >= growthUntilLook(isLast) * last;
  const judged = isDue
    ? await judgeLabelled({
        rollout,
        challenger: rollout.candidate,
        champion: rollout.champion,
        from: startedAt,
        now,
        ledger: `rollout:${rollout.id}`,
        alpha: rollout.gate.alpha * ALPHA_SHARE,
        signal,
      })
    : undefined;
  return { at: now, loss, scores: scores && assessScores(scores), labelled, judged, shadowPairs };
}

/** In shadow both versions have answered the very same requests. */
const shadowWindows = (pairs: ShadowPairs | undefined) =>
  (pairs?.windows ?? []).map(({ rows, labelled, championLoss, candidateLoss }) => ({
    champion: { rows, labelled, meanLoss: championLoss },
    candidate: { rows, labelled, meanLoss: candidateLoss },
  }));

const windowFor = (elapsedMs: number): number =>
  WINDOW_STEPS_MS.find((each) => each * WINDOWS >= elapsedMs) ?? (WINDOW_STEPS_MS.at(-1) as number);
