import { ApiError, command } from '../../platform/index.ts';
import {
  createChampionStore,
  createRegisteredModelStore,
  type MoveCause,
  putPredecessorBack,
} from '../../registry/index.ts';
import { type Gain, openGain } from '../gain/gain.ts';
import { createGainStore } from '../gain/gain-store.ts';
import type { DecisionRecord } from '../promotion/decision-store.ts';
import {
  addDecision,
  auditDecision,
  causeOf,
  endWatches,
  moveTo,
  type NewDecision,
} from '../promotion/record-decision.ts';
import { describeRollout } from './describe-rollout.ts';
import { createRolloutStore, type Rollout, type RolloutChange } from './rollout-store.ts';

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
      /** What the promotion that is watched has brought so far. */
      gain?: Gain | undefined;
    },
  ): Promise<{ rollout: Rollout; decision: DecisionRecord }> => {
    const { id, epoch, change, decision, effect, gain } = input;
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
      auditId = auditSequence ?? (await auditDecision(tx, decision));
    } else {
      await createChampionStore(tx).bumpRevision();
      auditId = await auditDecision(tx, decision);
    }
    if (!(await rollouts.change(id, epoch, { ...change, ...more }))) throw changedMeanwhile(before);
    const made = await addDecision(tx, { ...decision, id: auditId, rolloutId: id });
    const rollout = await rollouts.get(id);
    const begun = before.state !== 'watching' && rollout.state === 'watching' ? openGain(rollout) : gain;
    if (begun) await createGainStore(tx).put(begun);
    return { rollout, decision: made };
  },
);

/**
 * Keeps what was seen of a rollout, without a decision; false when it changed meanwhile. It holds the model, so that a
 * rollback that has read the rollout finds it as it read it.
 */
export const noteRolloutEvidence = command(
  'rollout.note',
  async (
    tx,
    {
      id,
      epoch,
      gain,
      ...change
    }: { id: string; epoch: number; gain?: Gain | undefined } & Pick<
      Rollout,
      'looks' | 'evidence' | 'lookedAt'
    >,
  ): Promise<boolean> => {
    const rollouts = createRolloutStore(tx);
    await createRegisteredModelStore(tx).lock((await rollouts.get(id)).model);
    const isNoted = await rollouts.change(id, epoch, change);
    if (isNoted && gain) await createGainStore(tx).put(gain);
    return isNoted;
  },
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
      kind: wasWatched ? 'watch' : (before.resumeState ?? state) === 'shadow' ? 'shadow' : 'canary',
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
    const auditId = await auditDecision(tx, decision);
    const change: RolloutChange = { resumeState: undefined, endedAt: at, note: why, weight: 0 };
    const ended = await rollouts.change(id, epoch, { ...change, state: wasWatched ? 'done' : 'aborted' });
    if (!ended) throw changedMeanwhile(before);
    await addDecision(tx, { ...decision, id: auditId, rolloutId: id });
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
    const kind = 'hand' as const;
    const base = {
      model: name,
      kind,
      at: cause.at,
      actor: cause.actor,
      reason: cause.reason,
      key: undefined,
    };
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
      const auditId = await auditDecision(tx, decision);
      const aborted = await rollouts.change(id, underWay.epoch, {
        state: 'aborted',
        resumeState: undefined,
        weight: 0,
        endedAt: cause.at,
        note: decision.summary,
      });
      if (!aborted) throw changedMeanwhile(underWay);
      await addDecision(tx, { ...decision, id: auditId, rolloutId: id });
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
      await addDecision(tx, {
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

const changedMeanwhile = (rollout: Rollout) =>
  new ApiError(
    'RESOURCE_CONFLICT',
    `The rollout changed meanwhile: ${describeRollout(rollout)}. Look at it, then try again`,
  );
