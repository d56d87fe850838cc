import { ApiError, type Command, command } from '../platform/index.ts';
import {
  createChampionStore,
  createRegisteredModelStore,
  type ExpectedChampion,
  expectChampion,
} from '../registry/index.ts';
import type { GatePolicy, RolloutPolicy } from './delivery-policy.ts';
import { openGain } from './gain/gain.ts';
import { createGainStore } from './gain/gain-store.ts';
import { settleGain } from './gain/settle-gains.ts';
import { createDecisionStore, type DecisionRecord } from './promotion/decision-store.ts';
import {
  addDecision,
  auditDecision,
  endWatches,
  moveTo,
  type NewDecision,
} from './promotion/record-decision.ts';
import { describeRollout } from './rollout/describe-rollout.ts';
import {
  changeRollout,
  endLostRollout,
  noteRolloutEvidence,
  rollBackDelivery,
} from './rollout/rollout-commands.ts';
import { createRolloutStore, type Rollout } from './rollout/rollout-store.ts';

export { deliveryMigrations } from './migrations.ts';

/**
 * Counts a look at an evaluation set; the same question again is the same look. One that is open, since its rows grow,
 * is any further question until its judgement has ended.
 */
export const countGateLook = command(
  'gate.look',
  async (
    tx,
    look: { model: string; evaluation: string; question: string; at: number; isOpen?: boolean },
  ): Promise<number> => {
    await createRegisteredModelStore(tx).lock(look.model);
    return createDecisionStore(tx).countLook(look);
  },
);

/** Says what an open look has looked at, so that the next question is another look. */
export const endGateLook = command(
  'gate.lookEnded',
  async (
    tx,
    look: { model: string; evaluation: string; question: string; k: number; at: number },
  ): Promise<void> => {
    await createRegisteredModelStore(tx).lock(look.model);
    await createDecisionStore(tx).endLook(look);
  },
);

/** What follows from the judgement of a version. */
export type GateEffect =
  | { kind: 'none' }
  /** It serves at once; with `watch`, late labels may still give the predecessor its place back. */
  | { kind: 'move'; expected: ExpectedChampion; watch?: { gate: GatePolicy; policy: RolloutPolicy } }
  | {
      kind: 'rollout';
      expected: ExpectedChampion;
      state: 'shadow' | 'canary';
      weight: number;
      gate: GatePolicy;
      policy: RolloutPolicy;
      /** What is known of the version before it begins. */
      evidence?: Record<string, unknown> | undefined;
    };

/**
 * Records a decision of the gate and does what follows from it, both or neither. A `key` that decided before gives
 * its decision back and changes nothing.
 *
 * @throws ApiError RESOURCE_CONFLICT when something else serves by now, or a rollout of the model is under way.
 */
export const decideAtGate = command(
  'gate.decide',
  async (
    tx,
    { decision, effect }: { decision: NewDecision; effect: GateEffect },
  ): Promise<{ decision: DecisionRecord; isNew: boolean }> => {
    const { model, version, at, actor } = decision;
    const decisions = createDecisionStore(tx);
    const rollouts = createRolloutStore(tx);
    await createRegisteredModelStore(tx).lock(model);
    const known = decision.key === undefined ? undefined : await decisions.findByKey(decision.key);
    if (known) return { decision: known, isNew: false };
    if (effect.kind === 'none') {
      const id = await auditDecision(tx, decision);
      return { decision: await addDecision(tx, { ...decision, id, rolloutId: undefined }), isNew: true };
    }
    const underWay = await rollouts.findUnderWay(model);
    if (underWay) throw rolloutUnderWay(underWay, version);
    const champion = effect.expected.version;
    if (effect.kind === 'move') {
      const { id, revision } = await moveTo(tx, decision, effect.expected);
      await endWatches(tx, model, version, at);
      const watched = effect.watch !== undefined && champion !== undefined;
      const rolloutId = watched ? rolloutIdOf(id) : undefined;
      if (effect.watch !== undefined && champion !== undefined) {
        const watching: Rollout = {
          ...newRollout(decision, rolloutIdOf(id), champion),
          ...effect.watch,
          championRevision: revision,
          state: 'watching',
          weight: 100,
          promotedAt: at,
        };
        await rollouts.add(watching);
        await createGainStore(tx).put(openGain(watching));
      }
      return { decision: await addDecision(tx, { ...decision, id, rolloutId }), isNew: true };
    }
    await expectChampion(tx, model, effect.expected, `version ${version} was being judged`);
    if (champion === undefined) throw new ApiError('INTERNAL_ERROR', 'A rollout needs a champion');
    await createChampionStore(tx).bumpRevision();
    const id = await auditDecision(tx, decision);
    const rolloutId = rolloutIdOf(id);
    await rollouts.add({
      ...newRollout(decision, rolloutId, champion),
      evidence: effect.evidence,
      gate: effect.gate,
      policy: effect.policy,
      championRevision: effect.expected.revision,
      state: effect.state,
      weight: effect.weight,
      actor,
    });
    return { decision: await addDecision(tx, { ...decision, id, rolloutId }), isNew: true };
  },
);

const rolloutIdOf = (auditId: number) => `r${auditId}`;

function newRollout(
  decision: NewDecision,
  id: string,
  champion: number,
): Omit<Rollout, 'gate' | 'policy' | 'state' | 'weight' | 'championRevision'> {
  return {
    id,
    model: decision.model,
    candidate: decision.version,
    champion,
    resumeState: undefined,
    step: 0,
    looks: {},
    evidence: undefined,
    note: undefined,
    actor: decision.actor,
    reason: decision.reason,
    startedAt: decision.at,
    stepStartedAt: decision.at,
    promotedAt: undefined,
    endedAt: undefined,
    lookedAt: undefined,
    epoch: 0,
  };
}

/** Why a second promotion of the model has to wait. */
export function rolloutUnderWay(rollout: Rollout, version: number): ApiError {
  const { model } = rollout;
  return new ApiError(
    'RESOURCE_CONFLICT',
    `Version ${version} of '${model}' has to wait: ${describeRollout(rollout)}. See it: tidemill rollout show ${model}; end it: tidemill rollout abort ${model} --reason "…"`,
    { rollout: rollout.id, version: String(rollout.candidate), state: rollout.state },
  );
}

export const deliveryCommands: Command<any, any>[] = [
  countGateLook,
  endGateLook,
  decideAtGate,
  changeRollout,
  noteRolloutEvidence,
  settleGain,
  endLostRollout,
  rollBackDelivery,
];
