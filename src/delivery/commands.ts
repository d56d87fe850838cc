import { ApiError, appendAudit, type Command, command, type Tx } from '../platform/index.ts';
import {
  createChampionStore,
  createRegisteredModelStore,
  type ExpectedChampion,
  expectChampion,
  type MoveCause,
  putChampion,
  putPredecessorBack,
} from '../registry/index.ts';
import { createDecisionStore, type DecisionRecord } from './decision-store.ts';
import type { GatePolicy, RolloutPolicy } from './delivery-policy.ts';
import { describeRollout } from './rollout/describe-rollout.ts';
import { createRolloutStore, type Rollout, type RolloutChange } from './rollout/rollout-store.ts';

export { deliveryMigrations } from './migrations.ts';

/** What somebody decided, before it has its number. */
export type NewDecision = Omit<DecisionRecord, 'id' | 'rolloutId'>;

/** Counts a look at an evaluation set; the same question again is the same look. */
export const countGateLook = command(
  'gate.look',
  async (tx, look: { model: string; evaluation: string; question: string; at: number }): Promise<number> => {
    await createRegisteredModelStore(tx).lock(look.model);
    return createDecisionStore(tx).countLook(look);
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
      const id = await audit(tx, decision);
      return { decision: await add(tx, { ...decision, id, rolloutId: undefined }), isNew: true };
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
        await rollouts.add({
          ...newRollout(decision, rolloutIdOf(id), champion),
          ...effect.watch,
          championRevision: revision,
          state: 'watching',
          weight: 100,
          promotedAt: at,
        });
      }
      return { decision: await add(tx, { ...decision, id, rolloutId }), isNew: true };
    }
    await expectChampion(tx, model, effect.expected, `version ${version} was being judged`);
    if (champion === undefined) throw new ApiError('INTERNAL_ERROR', 'A rollout needs a champion');
    await createChampionStore(tx).bumpRevision();
    const id = await audit(tx, decision);
    const rolloutId = rolloutIdOf(id);
    await rollouts.add({
      ...newRollout(decision, rolloutId, champion),
      gate: effect.gate,
      policy: effect.policy,
      championRevision: effect.expected.revision,
      state: effect.state,
      weight: effect.weight,
      actor,
    });
    return { decision: await add(tx, { ...decision, id, rolloutId }), isNew: true };
  },
);

/** What a change of a rollout does to what serves. */
export type RolloutEffect = 'none' | 'promote' | 'undo';

/**
 * Moves a rollout on, if it is still as it was when that was decided: the change, what serves, the record and the
 * audit stand or fall together.
 *
 * @throws ApiError RESOURCE_CONFLICT when somebody else changed it, or what serves, meanwhile.
 */
export const changeRollout = command(
  'rollout.change',
  async (
    tx,
    input: {
      id: string;
      epoch: number;
      change: RolloutChange;
      decision: NewDecision;
      effect: RolloutEffect;
    },
  ): Promise<{ rollout: Rollout; decision: DecisionRecord }> => {
    const { id, epoch, change, decision, effect } = input;
    const rollouts = createRolloutStore(tx);
    await createRegisteredModelStore(tx).lock(decision.model);
    const before = await rollouts.get(id);
    if (before.epoch !== epoch) throw changedMeanwhile(before);
    let auditId: number;
    const more: RolloutChange = {};
    if (effect === 'promote') {
      const expected = { version: before.champion, revision: before.championRevision };
      const moved = await moveTo(tx, decision, expected);
      await endWatches(tx, before.model, before.candidate, decision.at);
      auditId = moved.id;
      more.championRevision = moved.revision;
    } else if (effect === 'undo') {
      const { auditSequence } = await putPredecessorBack(tx, {
        name: before.model,
        expectedVersion: before.candidate,
        cause: causeOf(decision),
      });
      auditId = auditSequence ?? (await audit(tx, decision));
    } else {
      await createChampionStore(tx).bumpRevision();
      auditId = await audit(tx, decision);
    }
    if (!(await rollouts.change(id, epoch, { ...change, ...more }))) throw changedMeanwhile(before);
    const made = await add(tx, { ...decision, id: auditId, rolloutId: id });
    return { rollout: await rollouts.get(id), decision: made };
  },
);

/** Keeps what was seen of a rollout, without a decision; false when it changed meanwhile. */
export const noteRolloutEvidence = command(
  'rollout.note',
  (
    tx,
    {
      id,
      epoch,
      ...change
    }: { id: string; epoch: number } & Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'>,
  ): Promise<boolean> => createRolloutStore(tx).change(id, epoch, change),
);

/** Ends a rollout under which somebody changed what serves, or deleted what it rolls out. */
export const endLostRollout = command(
  'rollout.endLost',
  async (tx, input: { id: string; epoch: number; why: string; at: number }): Promise<void> => {
    const rollouts = createRolloutStore(tx);
    const { id, epoch, why, at } = input;
    const before = await rollouts.get(id);
    if (before.epoch !== epoch) throw changedMeanwhile(before);
    const { model, candidate, champion, state, weight } = before;
    const wasWatched = state === 'watching';
    const summary = wasWatched ? `the watch is over: ${why}` : `aborted: ${why}`;
    const decision: NewDecision = {
      model,
      at,
      action: wasWatched ? 'rollout.done' : 'rollout.abort',
      version: candidate,
      champion,
      verdict: 'incomparable',
      outcome: wasWatched ? 'done' : 'aborted',
      summary,
      actor: 'tidemill',
      reason: undefined,
      evidence: { rollout: id, from_state: state, weight },
      key: undefined,
    };
    await createChampionStore(tx).bumpRevision();
    const auditId = await audit(tx, decision);
    const change: RolloutChange = { resumeState: undefined, endedAt: at, note: why, weight: 0 };
    await rollouts.change(id, epoch, { ...change, state: wasWatched ? 'done' : 'aborted' });
    await add(tx, { ...decision, id: auditId, rolloutId: id });
  },
);

/**
 * Undoes the newest change of what serves: a rollout that is under way is aborted, else what served before the
 * champion comes back.
 */
export const rollBackDelivery = command(
  'champion.rollBack',
  async (
    tx,
    input: { name: string; expectedVersion?: number | undefined; cause: MoveCause },
  ): Promise<{ from: number | undefined; to: number | undefined; aborted?: string }> => {
    const { name, expectedVersion, cause } = input;
    const rollouts = createRolloutStore(tx);
    await createRegisteredModelStore(tx).lock(name);
    const underWay = await rollouts.findUnderWay(name);
    const base = { model: name, at: cause.at, actor: cause.actor, reason: cause.reason, key: undefined };
    if (underWay) {
      const { id, candidate, champion } = underWay;
      if (expectedVersion !== undefined && expectedVersion !== candidate) {
        throw new ApiError(
          'RESOURCE_CONFLICT',
          `Not rolled back: ${describeRollout(underWay)} is what would be undone, not version ${expectedVersion}`,
        );
      }
      await createChampionStore(tx).bumpRevision();
      const decision: NewDecision = {
        ...base,
        action: 'rollout.abort',
        version: candidate,
        champion,
        verdict: 'by hand',
        outcome: 'aborted',
        summary: `rollback during the rollout: version ${champion} answers everything again`,
        evidence: { rollout: id, from_state: underWay.state, weight: underWay.weight },
      };
      const auditId = await audit(tx, decision);
      await rollouts.change(id, underWay.epoch, {
        state: 'aborted',
        resumeState: undefined,
        weight: 0,
        endedAt: cause.at,
        note: decision.summary,
      });
      await add(tx, { ...decision, id: auditId, rolloutId: id });
      return { from: candidate, to: champion, aborted: id };
    }
    const { from, to, auditSequence } = await putPredecessorBack(tx, { name, expectedVersion, cause });
    const summary = `version ${to} serves again${from === undefined ? '' : `, instead of ${from}`}`;
    let rolloutId: string | undefined;
    for (const watched of await rollouts.inStates(['watching'], name)) {
      if (watched.candidate === from) rolloutId = watched.id;
      await rollouts.change(watched.id, watched.epoch, {
        state: watched.candidate === from ? 'undone' : 'done',
        weight: 0,
        endedAt: cause.at,
        note: `rolled back by ${cause.actor}: ${summary}`,
      });
    }
    if (auditSequence !== undefined && to !== undefined) {
      await add(tx, {
        ...base,
        id: auditSequence,
        action: 'champion.rollback',
        version: to,
        champion: from,
        verdict: 'by hand',
        outcome: 'rolled back',
        summary,
        evidence: {},
        rolloutId,
      });
    }
    return { from, to };
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

/** The decision's action is `champion.…` where it moves the champion, whose recorder writes the audit itself. */
function causeOf(decision: NewDecision): MoveCause {
  return {
    action: decision.action.replace(/^champion\./, ''),
    actor: decision.actor,
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    evidence: { verdict: decision.verdict, summary: decision.summary, ...decision.evidence },
    at: decision.at,
  };
}

async function moveTo(
  tx: Tx,
  decision: NewDecision,
  expected: ExpectedChampion,
): Promise<{ id: number; revision: number | undefined }> {
  const { model: name, version } = decision;
  const { auditSequence } = await putChampion(tx, { name, version, expected, cause: causeOf(decision) });
  if (auditSequence === undefined)
    throw new ApiError('RESOURCE_CONFLICT', `Version ${version} of '${name}' serves already`);
  return { id: auditSequence, revision: (await createChampionStore(tx).lastMove(name))?.revision };
}

/** A version that takes the place of one that is still watched ends the watch. */
async function endWatches(tx: Tx, model: string, version: number, at: number): Promise<void> {
  const rollouts = createRolloutStore(tx);
  for (const { id, epoch } of await rollouts.inStates(['watching'], model)) {
    await rollouts.change(id, epoch, {
      state: 'done',
      endedAt: at,
      note: `version ${version} took its place`,
    });
  }
}

async function audit(tx: Tx, decision: NewDecision): Promise<number> {
  const { sequence } = await appendAudit(tx, {
    at: decision.at,
    actor: decision.actor,
    action: decision.action,
    subject: `models/${decision.model}`,
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    evidence: {
      from: decision.champion ?? null,
      to: decision.version,
      verdict: decision.verdict,
      why: decision.summary,
      ...decision.evidence,
    },
  });
  return sequence;
}

async function add(tx: Tx, decision: DecisionRecord): Promise<DecisionRecord> {
  await createDecisionStore(tx).add(decision);
  return decision;
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

const changedMeanwhile = (rollout: Rollout) =>
  new ApiError(
    'RESOURCE_CONFLICT',
    `The rollout changed meanwhile: ${describeRollout(rollout)}. Look at it, then try again`,
  );

export const deliveryCommands: Command<any, any>[] = [
  countGateLook,
  decideAtGate,
  changeRollout,
  noteRolloutEvidence,
  endLostRollout,
  rollBackDelivery,
];
