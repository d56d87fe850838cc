import { lookAlpha } from '../../statistics/index.ts';
import type { DeliveryDeps, ShadowPairs, VariantCounts } from '../delivery-deps.ts';
import {
  type Assessment,
  assessDisagreement,
  assessErrors,
  assessLatency,
  assessLoss,
  requests,
} from './assess-evidence.ts';
import { FEWEST_LABELLED, type JudgeLabelled } from './judge-labelled.ts';
import type { Looks, Rollout } from './rollout-store.ts';

/** What is known of a rollout by now; it is stored with it, so that a look is not repeated. */
export interface Evidence {
  [kind: string]: unknown;
  candidate?: VariantCounts;
  champion?: VariantCounts;
  /** Requests of the candidate when the step began. */
  before_step?: number;
  /** What the candidate had done before this rollout within its first hour, in an earlier one. */
  earlier?: VariantCounts;
  errors?: Assessment;
  latency?: Assessment;
  /** Both versions scored on every row that was labelled since. */
  labels?: Assessment & { comparison?: unknown };
  /** Each on the rows that it answered itself: shown, too weak to decide. */
  loss?: Assessment;
  disagreement?: Assessment;
}

export interface Gathered {
  evidence: Evidence;
  looks: Looks;
  /** Requests that the candidate answered or saw in this step. */
  inStep: number;
}

/** The share of alpha that each kind of evidence spends in a whole rollout: labels say most. */
const ALPHA_SHARE = { errors: 1 / 6, latency: 1 / 6, disagreement: 1 / 6, labels: 1 / 2 };
/** A kind is looked at again when there is so much more of it: few looks, each with more alpha. */
const GROWTH = 1.5;
/** Before a step is passed, what has come since is looked at too. */
const LAST_GROWTH = 1.05;
const FEWEST_REQUESTS = 20;
const HOUR_MS = 3_600_000;

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

const NOTHING: VariantCounts = { answered: 0, failed: 0, latency: [] };

/**
 * Reads what the model servers and the labels say of a rollout's candidate, and looks at each kind of evidence of which
 * there is enough new: the k-th look at a kind spends α·6/(π²k²) of its share, so that looking often proves nothing.
 */
export async function gatherEvidence(
  deps: Pick<DeliveryDeps, 'log' | 'variantCounts'> & { judgeLabelled: JudgeLabelled },
  rollout: Rollout,
  now: number,
  {
    isOver,
    asksLabels,
    earlier,
  }: { isOver: boolean; asksLabels: boolean; earlier: VariantCounts | undefined },
): Promise<Gathered> {
  const { model, startedAt } = rollout;
  const isShadow = (rollout.resumeState ?? rollout.state) === 'shadow';
  const known = (rollout.evidence ?? {}) as Evidence;
  const looks: Looks = { ...rollout.looks };
  const count = async (version: number, variant: 'champion' | 'canary' | 'shadow') =>
    (await deps.variantCounts?.({
      model,
      version: String(version),
      variant,
      from: hourOf(startedAt),
      to: now + 1,
    })) ?? NOTHING;
  // A canary was a shadow before, so both of its parts count.
  const [asShadow, asCanary, champion] = await Promise.all([
    count(rollout.candidate, 'shadow'),
    isShadow ? NOTHING : count(rollout.candidate, 'canary'),
    count(rollout.champion, 'champion'),
  ]);
  const past = known.earlier ?? earlier;
  const candidate = subtract(sum(asShadow, asCanary), past);
  const evidence: Evidence = {
    ...known,
    candidate,
    champion,
    ...(past ? { earlier: past } : {}),
  };

  const seen = requests(candidate);
  const inStep = seen - (evidence.before_step ?? 0);
  const isLast = isOver && inStep >= rollout.policy.minRequests;

  const lookAt = (
    kind: 'errors' | 'latency' | 'disagreement',
    n: number,
    assess: (alpha: number) => Assessment,
  ) => {
    const last = looks[kind] ?? { k: 0, n: 0 };
    if (n < FEWEST_REQUESTS || n < (isLast ? LAST_GROWTH : GROWTH) * last.n) return;
    const k = last.k + 1;
    looks[kind] = { k, n };
    evidence[kind] = { ...assess(lookAlpha(rollout.gate.alpha * ALPHA_SHARE[kind], k)), look: k };
  };
  lookAt('errors', seen, (alpha) => assessErrors(candidate, champion, alpha));
  lookAt('latency', seen, (alpha) => assessLatency(candidate, champion, alpha));

  if (!asksLabels || !deps.log) return { evidence, looks, inStep };
  looks['asked'] = { k: (looks['asked']?.k ?? 0) + 1, n: now };
  const { windows, shadowPairs } = await deps.log.compareVariants({
    model,
    from: startedAt,
    to: now + 1,
    windowMs: windowFor(now - startedAt),
    champion: String(rollout.champion),
    candidate: String(rollout.candidate),
  });
  evidence.loss = assessLoss(isShadow ? shadowWindows(shadowPairs) : windows, rollout.gate.alpha);
  const labelled = windows.reduce((all, each) => all + each.champion.labelled + each.candidate.labelled, 0);
  const last = looks['labels'] ?? { k: 0, n: 0 };
  if (labelled >= FEWEST_LABELLED && labelled >= (isLast ? LAST_GROWTH : GROWTH) * last.n) {
    const judged = await deps.judgeLabelled({
      rollout,
      challenger: rollout.candidate,
      champion: rollout.champion,
      from: startedAt,
      ledger: `rollout:${rollout.id}`,
      alpha: rollout.gate.alpha * ALPHA_SHARE.labels,
    });
    if (judged?.k !== undefined) {
      looks['labels'] = { k: judged.k, n: labelled };
      const { comparison } = judged.evidence;
      const state = judged.comparison?.verdict === 'worse' ? 'bad' : 'good';
      evidence.labels = { state, words: judged.words, look: judged.k, comparison };
    }
  }
  if (shadowPairs && shadowPairs.rows > 0)
    lookAt('disagreement', shadowPairs.rows, (alpha) =>
      assessDisagreement(shadowPairs, rollout.policy.maxDisagreement, alpha),
    );
  return { evidence, looks, inStep };
}

/** In shadow both versions have answered the very same requests. */
const shadowWindows = (pairs: ShadowPairs | undefined) =>
  (pairs?.windows ?? []).map(({ rows, labelled, championLoss, candidateLoss }) => ({
    champion: { rows, labelled, meanLoss: championLoss },
    candidate: { rows, labelled, meanLoss: candidateLoss },
  }));

/** What an earlier rollout of the same version left in the hour in which this one began: counts are kept by the hour. */
export function countsOfEarlier(rollout: Rollout, all: readonly Rollout[]): VariantCounts | undefined {
  const hour = hourOf(rollout.startedAt);
  const before = all.find(
    (each) =>
      each.id !== rollout.id &&
      each.candidate === rollout.candidate &&
      each.startedAt <= rollout.startedAt &&
      (each.endedAt ?? 0) >= hour,
  );
  const counted = before?.evidence as Evidence | undefined;
  return counted?.candidate && sum(counted.candidate, counted.earlier ?? NOTHING);
}

/** Counts are kept by the hour: what the champion did in the hour before the rollout began counts for it. */
const hourOf = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS;

const windowFor = (elapsedMs: number): number =>
  WINDOW_STEPS_MS.find((each) => each * WINDOWS >= elapsedMs) ?? (WINDOW_STEPS_MS.at(-1) as number);

function combine(a: VariantCounts, b: VariantCounts, sign: 1 | -1): VariantCounts {
  const length = Math.max(a.latency.length, b.latency.length);
  const add = (x: number | undefined, y: number | undefined) => Math.max(0, (x ?? 0) + sign * (y ?? 0));
  return {
    answered: add(a.answered, b.answered),
    failed: add(a.failed, b.failed),
    latency: Array.from({ length }, (_, i) => add(a.latency[i], b.latency[i])),
  };
}
const sum = (a: VariantCounts, b: VariantCounts) => combine(a, b, 1);
const subtract = (a: VariantCounts, b: VariantCounts | undefined) => (b ? combine(a, b, -1) : a);
