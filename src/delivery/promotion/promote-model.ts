import { ApiError, createKeyedQueue } from '../../platform/index.ts';
import {
  createChampionStore,
  createModelVersionStore,
  type ExpectedChampion,
  type ModelVersion,
  notServable,
} from '../../registry/index.ts';
import { lookAlpha } from '../../statistics/index.ts';
import { countGateLook, decideAtGate, type GateEffect, rolloutUnderWay } from '../commands.ts';
import type { DeliveryDeps } from '../delivery-deps.ts';
import {
  canaryWeights,
  type DeliveryPolicy,
  type GatePolicy,
  readPolicy,
  rolloutTimes,
} from '../delivery-policy.ts';
import type { JudgeInput, Judgement } from '../judge/judge-input.ts';
import type { JudgeQueue } from '../judge/judge-queue.ts';
import type { Judge } from '../judge/run-judge.ts';
import { countTraffic, requests } from '../rollout/count-traffic.ts';
import { createRolloutStore } from '../rollout/rollout-store.ts';
import type { Evidence } from '../rollout/rollout-types.ts';
import { checkApproval } from './check-approval.ts';
import { decidePromotion } from './decide-promotion.ts';
import { createDecisionStore, type DecisionRecord, type Outcome, type Verdict } from './decision-store.ts';

export interface PromoteRequest {
  name: string;
  version: number;
  actor: string;
  reason?: string | undefined;
  /** Promote without, or against, the comparison; needs a reason. It still rolls out by the policy. */
  force?: boolean | undefined;
  /** Moves everything at once, whatever the policy's steps are. */
  now?: boolean | undefined;
  /** A promotion that was decided under this key gives the same answer again and does nothing. */
  key?: string | undefined;
  /** Somebody waits for it: it is judged before those that the platform begins by itself. */
  isByHand?: boolean | undefined;
  /** Ends waiting and judging; what serves is moved or not, never half. */
  signal?: AbortSignal | undefined;
}

const PROMOTIONS_WAITING = 16;

/** Runs a judgement when its turn has come. */
type InTurn = <T>(work: () => Promise<T>, signal?: AbortSignal) => Promise<T>;

export interface Promotion {
  name: string;
  from: number | undefined;
  to: number;
  /** It serves now and did not before. */
  changed: boolean;
  outcome: 'promoted' | 'rollout' | 'refused' | 'unchanged';
  /** The rollout that began, or that watches what was promoted. */
  rollout?: string;
  decision: { id?: number; verdict: Verdict; summary: string; evidence?: Record<string, unknown> };
}

/**
 * Puts a version through the gate and, where it passes, lets it serve by the model's policy: at once, or by a rollout.
 *
 * Champion and challenger are scored on the challenger's held-out rows; only what is better or non-inferior passes,
 * or what is forced with a reason. A version that cannot be loaded, or that does not reproduce its recorded example,
 * never passes. One model's promotions follow each other.
 */
export function createPromoter(deps: DeliveryDeps & { judge: Judge; queue: JudgeQueue }) {
  const { database, clock, files, moved, judge, queue, policyOf } = deps;
  const champions = createChampionStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const decisions = createDecisionStore(database.reader);
  const rollouts = createRolloutStore(database.reader);
  const waiting = PROMOTIONS_WAITING;
  const oneByOne = createKeyedQueue({ waiting, what: 'promotions of this model' });

  async function promote(request: PromoteRequest, inTurn: InTurn): Promise<Promotion> {
    const { name, version, actor, force = false, key, signal } = request;
    const reason = request.reason?.trim() || undefined;
    if (force && reason === undefined) {
      throw new ApiError(
        'INVALID_PARAMETER_VALUE',
        'A forced promotion needs a reason: --force --reason "…"',
      );
    }
    const known = key === undefined ? undefined : await decisions.findByKey(key);
    if (known) return toPromotion(known);
    const challenger = await versions.get(name, version);
    const current = await champions.find(name);
    const expected = { version: current?.version, revision: (await champions.lastMove(name))?.revision };
    const underWay = await rollouts.findUnderWay(name);
    if (underWay) throw rolloutUnderWay(underWay, version);
    if (current?.version === version) return servesAlready(name, version);
    if (!challenger.servable) throw notServable(challenger);
    const champion = current && (await versions.get(name, current.version));
    const policy = await readPolicy(policyOf, name);
    if (request.isByHand) {
      const by = challenger.userId || undefined;
      checkApproval(policy.approvers, { actor, what: `promote ${name}/${version}`, by, made: 'made it' });
    }
    const look = await spendLook(challenger, champion, policy.gate);
    const judgement = await inTurn(
      () => judgeAgainst(challenger, champion, policy.gate, look, signal),
      signal,
    );
    const decided = decidePromotion(judgement, { challenger, champion, force, reason, look });
    const effect = effectOf(decided.passes, expected, policy, request.now === true);
    const outcome = OUTCOME_OF[effect.kind];
    const at = clock.now();
    if (effect.kind === 'rollout') effect.evidence = await findEarlier(challenger, champion, at);
    const { decision } = await database.execute(decideAtGate, {
      effect,
      decision: {
        model: name,
        at,
        kind: 'gate' as const,
        action: ACTION_OF[effect.kind],
        version,
        champion: champion?.version,
        verdict: decided.verdict,
        outcome,
        summary: decided.summary,
        actor,
        reason,
        evidence: decided.evidence,
        key,
      },
    });
    if (effect.kind !== 'none') moved.notify();
    return toPromotion(decision);
  }

  /** Counts are kept by the hour: what either version did in it before the rollout began does not count. */
  async function findEarlier(
    { name, version }: ModelVersion,
    champion: ModelVersion | undefined,
    at: number,
  ): Promise<Record<string, unknown> | undefined> {
    if (champion === undefined) return undefined;
    const asked = { model: name, candidate: version, champion: champion.version, from: at, to: at + 1 };
    const counted = await countTraffic(deps.variantCounts, asked);
    const wasRolledOut = (await rollouts.list(name)).some(({ candidate }) => candidate === version);
    const found: Pick<Evidence, 'earlier' | 'earlier_champion'> = {
      ...(wasRolledOut && requests(counted.candidate) > 0 ? { earlier: counted.candidate } : {}),
      ...(requests(counted.champion) > 0 ? { earlier_champion: counted.champion } : {}),
    };
    return Object.keys(found).length > 0 ? found : undefined;
  }

  /** Written down before the rows are looked at, so that no look is free. */
  async function spendLook(
    challenger: ModelVersion,
    champion: ModelVersion | undefined,
    gate: GatePolicy,
  ): Promise<{ k: number; alpha: number } | undefined> {
    const evaluation = challenger.heldoutSha256;
    if (evaluation === undefined || !champion?.servable) return undefined;
    const { metric, nonInferiority, cluster } = gate;
    const question = JSON.stringify([
      [challenger.version, challenger.sha256],
      [champion.version, champion.sha256],
      [metric, nonInferiority, cluster],
    ]);
    const look = { model: challenger.name, evaluation, question, at: clock.now() };
    const k = await database.execute(countGateLook, look);
    return { k, alpha: lookAlpha(gate.alpha, k) };
  }

  async function judgeAgainst(
    challenger: ModelVersion,
    champion: ModelVersion | undefined,
    gate: GatePolicy,
    look: { alpha: number } | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Judgement> {
    const sha256 = challenger.heldoutSha256;
    const input: JudgeInput = {
      challengerPath: await files.modelPath(challenger),
      challengerSha256: challenger.sha256,
      ...(sha256 === undefined ? {} : { heldOut: { path: await files.heldOutPath(sha256), sha256 } }),
      question: questionOf(gate, look?.alpha ?? gate.alpha),
    };
    const options = signal ? { signal } : {};
    if (!champion) return judge(input, options);
    if (!champion.servable) {
      const why = champion.notServableReason ?? 'it has no model file';
      const judgement = await judge({ ...input, championPath: undefined }, options);
      return { ...judgement, incomparable: `the champion cannot score: ${why}` };
    }
    const championPath = await files.modelPath(champion);
    return judge({ ...input, championPath, championSha256: champion.sha256 }, options);
  }

  /** See above; waits for its turn among the promotions of the same model. */
  return async function promoteInTurn(request: PromoteRequest): Promise<Promotion> {
    const { name, version, isByHand = false, signal } = request;
    return queue.enter({ lane: 'promotion', model: name, version, isByHand }, (inTurn) =>
      oneByOne(name, () => promote(request, inTurn), signal),
    );
  };
}

export const questionOf = (gate: GatePolicy, alpha: number): NonNullable<JudgeInput['question']> => ({
  metric: gate.metric,
  alpha,
  margin: gate.nonInferiority,
  atLeast: gate.atLeast,
  slices: gate.slices,
  cluster: gate.cluster,
});

const ACTION_OF = {
  none: 'champion.promote-refused',
  move: 'champion.promote',
  rollout: 'rollout.start',
} as const;

const OUTCOME_OF = { none: 'refused', move: 'promoted', rollout: 'rollout' } as const;

function effectOf(
  passes: boolean,
  expected: ExpectedChampion,
  { gate, rollout }: DeliveryPolicy,
  isNow: boolean,
): GateEffect {
  if (!passes) return { kind: 'none' };
  const { shadowMs, watchMs } = rolloutTimes(rollout);
  const first = canaryWeights(rollout)[0];
  const takesSteps = shadowMs > 0 || first !== undefined;
  if (expected.version === undefined || isNow || !takesSteps) {
    return { kind: 'move', expected, ...(watchMs > 0 ? { watch: { gate, policy: rollout } } : {}) };
  }
  const isShadow = shadowMs > 0;
  return {
    kind: 'rollout',
    expected,
    state: isShadow ? 'shadow' : 'canary',
    weight: isShadow ? 100 : (first ?? 100),
    gate,
    policy: rollout,
  };
}

const servesAlready = (name: string, version: number): Promotion => ({
  name,
  from: version,
  to: version,
  changed: false,
  outcome: 'unchanged',
  decision: { verdict: 'already serving', summary: `version ${version} serves already` },
});

function toPromotion(decision: DecisionRecord): Promotion {
  const { model, champion, version, outcome, rolloutId, id, verdict, summary, evidence } = decision;
  return {
    name: model,
    from: champion,
    to: version,
    changed: outcome === 'promoted',
    outcome: isPromotionOutcome(outcome) ? outcome : 'refused',
    ...(rolloutId === undefined ? {} : { rollout: rolloutId }),
    decision: { id, verdict, summary, evidence },
  };
}

const isPromotionOutcome = (outcome: Outcome): outcome is Promotion['outcome'] =>
  outcome === 'promoted' || outcome === 'rollout' || outcome === 'refused' || outcome === 'unchanged';
