import { lookAlpha } from '../../statistics/index.ts';
import type { DeliveryDeps } from '../delivery-deps.ts';
import { type Assessment, assessDisagreement, assessErrors, assessLatency } from './assess-evidence.ts';
import { countTraffic, requests, subtract } from './count-traffic.ts';
import { growthUntilLook } from './look-at-labels.ts';
import type { Looks, Rollout } from './rollout-store.ts';
import type { Evidence, Gathered, LabelLook } from './rollout-types.ts';

/** The share of alpha that each kind of evidence spends in a whole rollout: labels say most (look-at-labels.ts). */
const ALPHA_SHARE = { errors: 1 / 6, latency: 1 / 6, disagreement: 1 / 6 };
const FEWEST_REQUESTS = 20;

/**
 * Reads what the model servers say of a rollout's candidate, and takes what a look at the labels saw: each kind of
 * evidence is assessed when there is enough new of it. The k-th look at a kind spends α·6/(π²k²) of its share, so that
 * looking often proves nothing.
 */
export async function gatherEvidence(
  { variantCounts }: Pick<DeliveryDeps, 'variantCounts'>,
  rollout: Rollout,
  now: number,
  { isOver, labelLook }: { isOver: boolean; labelLook: LabelLook | undefined },
): Promise<Gathered> {
  const { model, startedAt } = rollout;
  const known = (rollout.evidence ?? {}) as Evidence;
  const looks: Looks = { ...rollout.looks };
  const counted = await countTraffic(variantCounts, { ...rollout, model, from: startedAt, to: now + 1 });
  const champion = subtract(counted.champion, known.earlier_champion);
  const candidate = subtract(counted.candidate, known.earlier);
  const evidence: Evidence = { ...known, candidate, champion };

  const seen = requests(candidate);
  const inStep = seen - (evidence.before_step ?? 0);
  const isLast = isOver && inStep >= rollout.policy.minRequests;

  const lookAt = (kind: keyof typeof ALPHA_SHARE, n: number, assess: (alpha: number) => Assessment) => {
    const last = looks[kind] ?? { k: 0, n: 0 };
    if (n < FEWEST_REQUESTS || n < growthUntilLook(isLast) * last.n) return;
    const k = last.k + 1;
    looks[kind] = { k, n };
    evidence[kind] = { ...assess(lookAlpha(rollout.gate.alpha * ALPHA_SHARE[kind], k)), look: k };
  };
  lookAt('errors', seen, (alpha) => assessErrors(candidate, champion, alpha));
  // How fast the champion is, the whole hour tells better: of few runs the p99 is too low.
  lookAt('latency', seen, (alpha) => assessLatency(candidate, counted.champion, alpha));

  if (labelLook) {
    const { at, loss, scores, labelled, judged, shadowPairs } = labelLook;
    looks['asked'] = { k: (looks['asked']?.k ?? 0) + 1, n: at };
    evidence.loss = loss;
    if (scores) evidence.scores = scores;
    if (judged?.k !== undefined) {
      looks['labels'] = { k: judged.k, n: labelled };
      const { comparison } = judged.evidence;
      const state = judged.comparison?.verdict === 'worse' ? 'bad' : 'good';
      evidence.labels = { state, words: judged.words, look: judged.k, comparison };
    }
    if (shadowPairs && shadowPairs.rows > 0)
      lookAt('disagreement', shadowPairs.rows, (alpha) =>
        assessDisagreement(shadowPairs, rollout.policy.maxDisagreement, alpha),
      );
  }
  return { evidence, looks, inStep, isLast };
}
