import { ApiError } from '../../platform/index.ts';
import { createChampionStore, createModelVersionStore } from '../../registry/index.ts';
import type { Gain } from '../gain/gain.ts';
import { createGainStore } from '../gain/gain-store.ts';
import { createGainSettler, settlementOf } from '../gain/settle-gains.ts';
import type { NewDecision } from '../promotion/record-decision.ts';
import { decide, isLabelLookDue, kindOf, lengthOf, SHORTEST_LOOK_MS } from './decide-step.ts';
import { gatherEvidence } from './gather-evidence.ts';
import { createLabelledJudge } from './judge-labelled.ts';
import { lookAtLabels } from './look-at-labels.ts';
import { createBackgroundLooks } from './look-in-background.ts';
import { changeRollout, endLostRollout, noteRolloutEvidence } from './rollout-commands.ts';
import { createRolloutStore, type Rollout } from './rollout-store.ts';
import type { AdvancerDeps, LabelLook, LabelledJudgement, Transition } from './rollout-types.ts';
import { decideWatch, dueWatchLooks } from './watch-champion.ts';

/** Who decides when nobody does. */
const PLATFORM_ACTOR = 'tidemill';

/**
 * Moves rollouts on: each by at most one transition, which is one command that finds the rollout as it was when the
 * transition was decided. Killed at any moment and called again, it does what was left to do, once.
 *
 * Labels are looked at in the background, one look of a rollout at a time: errors and run times of every rollout are
 * seen meanwhile, and a step is not passed before the look that is due has ended.
 */
export function createRolloutAdvancer(deps: AdvancerDeps) {
  const { database, clock, moved, logger } = deps;
  const rollouts = createRolloutStore(database.reader);
  const champions = createChampionStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const gains = createGainStore(database.reader);
  const judgeLabelled = createLabelledJudge(deps);
  const background = createBackgroundLooks(deps);
  const settler = createGainSettler({ database, clock, judgeLabelled, background });
  let underWay: Promise<{ didSomething: boolean }> | undefined;

  async function advanceAll(): Promise<{ didSomething: boolean }> {
    let didSomething = false;
    const all = await rollouts.inStates(['shadow', 'canary', 'paused', 'watching']);
    const unsettled = await settler.findDue(new Set(all.map(({ id }) => id)));
    background.dropOthers(new Set([...all.map(lookOf), ...unsettled.map(settlementOf)]));
    for (const gain of unsettled) {
      // What a promotion brought decides nothing, so it keeps no rollout waiting either.
      await settler.settle(gain).catch((error: unknown) => {
        logger?.warn({ err: error, rollout: gain.rolloutId, model: gain.model }, 'gain not settled');
      });
    }
    for (const rollout of all) {
      try {
        if (await advanceOne(rollout)) didSomething = true;
      } catch (error) {
        // Somebody else moved it on: the next call sees where it is.
        if (error instanceof ApiError && error.code === 'RESOURCE_CONFLICT') continue;
        logger?.warn({ err: error, rollout: rollout.id, model: rollout.model }, 'rollout not advanced');
      }
    }
    return { didSomething };
  }

  async function advanceOne(rollout: Rollout): Promise<boolean> {
    const lost = await findLoss(rollout);
    if (lost !== undefined) {
      await database.execute(endLostRollout, {
        id: rollout.id,
        epoch: rollout.epoch,
        why: lost,
        at: clock.now(),
      });
      moved.notify();
      return true;
    }
    if (rollout.state === 'watching') return advanceWatch(rollout);
    return advanceStep(rollout);
  }

  /** Why a rollout has nothing left to roll out: what serves, or its candidate, was changed from elsewhere. */
  async function findLoss(rollout: Rollout): Promise<string | undefined> {
    const { model, candidate, champion, state, championRevision } = rollout;
    const serving = (await champions.find(model))?.version;
    const expected = state === 'watching' ? candidate : champion;
    const last = await champions.lastMove(model);
    if (serving !== expected || (last?.revision ?? undefined) !== championRevision) {
      const by = last ? ` (${last.action} by ${last.actor})` : '';
      return `what serves was changed: ${serving === undefined ? 'nothing serves' : `version ${serving} serves`}${by}`;
    }
    if (state === 'watching') return undefined;
    const found = await versions.find(model, candidate);
    return found?.servable ? undefined : `version ${candidate} is gone or cannot be served`;
  }

  async function advanceWatch(rollout: Rollout): Promise<boolean> {
    const key = lookOf(rollout);
    const look = background.find<WatchLook>(key);
    if (look === undefined) {
      const now = clock.now();
      const due = dueWatchLooks(rollout, now);
      if (due === undefined) return false;
      background.begin(key, async (signal): Promise<WatchLook> => {
        const { question, n } = due;
        return { n, at: now, judged: await judgeLabelled({ ...question, signal }) };
      });
      return false;
    }
    if ('error' in look) {
      background.drop(key);
      return false;
    }
    const found = decideWatch(rollout, look.result, await gains.find(rollout.id));
    const { gain } = found;
    if ('transition' in found) await apply(rollout, found.transition, gain);
    else if (!(await note(rollout, { ...found.noted, gain }))) return false;
    background.drop(key);
    return 'transition' in found;
  }

  async function advanceStep(rollout: Rollout): Promise<boolean> {
    const now = clock.now();
    const { lengthMs, capMs } = lengthOf(rollout);
    const elapsed = now - rollout.stepStartedAt;
    const end = rollout.stepStartedAt + lengthMs;
    const reportedAt = await deps.reportedAt?.();
    const isReportedSince = (ms: number) =>
      deps.reportedAt === undefined || (reportedAt !== undefined && reportedAt >= ms);
    const isOver = elapsed >= lengthMs && (deps.isClockOfEvents === true || isReportedSince(end));
    const isCapped =
      elapsed >= capMs && (!deps.isClockOfEvents || isReportedSince(rollout.stepStartedAt + capMs));
    const key = lookOf(rollout);
    const look = background.find<LabelLook>(key);
    const isSoon = now - (rollout.lookedAt ?? rollout.stepStartedAt) < SHORTEST_LOOK_MS;
    if (isSoon && !isOver && look === undefined) return false;
    const labelLook = look && 'result' in look ? look.result : undefined;
    const gathered = await gatherEvidence(deps, rollout, now, { isOver, labelLook });
    const { looks, evidence, isLast } = gathered;
    const seen = { looks, evidence: evidence as Record<string, unknown>, lookedAt: now };
    const failure = look && 'error' in look ? look.error : undefined;
    const lacks = failure === undefined ? undefined : `the labels could not be looked at: ${failure.message}`;
    const transition = decide(rollout, gathered, { now, isOver, isCapped, reportedAt, lacks });
    // What began before the step's end says nothing of the rest of it.
    const isAwaited =
      look === undefined
        ? background.has(key) || isLabelLookDue(rollout, now, lengthMs)
        : labelLook !== undefined && isOver && labelLook.at < end;
    const { log } = deps;
    if (transition && (transition.outcome === 'undone' || !isAwaited || !log)) {
      await apply(rollout, { ...transition, change: { ...seen, ...transition.change } });
      background.drop(key);
      return true;
    }
    // Counts without a look at them are read again, not written down.
    const isNew = JSON.stringify(looks) !== JSON.stringify(rollout.looks);
    if (isNew && !(await note(rollout, seen))) return false;
    if (look !== undefined) background.drop(key);
    if (isAwaited && log) {
      const asked = { rollout: { ...rollout, looks }, now, isLast };
      background.begin(key, (signal) => lookAtLabels({ log, judgeLabelled }, { ...asked, signal }));
    }
    return false;
  }

  /** False when somebody else moved the rollout on: the next pass sees where it is. */
  const note = (
    { id, epoch }: Rollout,
    seen: Pick<Rollout, 'looks' | 'evidence' | 'lookedAt'> & { gain?: Gain },
  ): Promise<boolean> => database.execute(noteRolloutEvidence, { id, epoch, ...seen });

  async function apply(rollout: Rollout, transition: Transition, gain?: Gain): Promise<void> {
    const { change, effect, ...said } = transition;
    const decision: NewDecision = {
      ...said,
      model: rollout.model,
      at: clock.now(),
      kind: kindOf(rollout),
      version: rollout.candidate,
      champion: rollout.champion,
      actor: PLATFORM_ACTOR,
      reason: undefined,
      evidence: { rollout: rollout.id, from_state: rollout.state, weight: rollout.weight, ...said.evidence },
      key: undefined,
    };
    const { id, epoch } = rollout;
    await database.execute(changeRollout, { id, epoch, change, decision, effect, gain });
    moved.notify();
  }

  return {
    /** Does what is due by the clock; a call while another is at work waits for that one. */
    advance: (): Promise<{ didSomething: boolean }> => {
      underWay ??= advanceAll().finally(() => {
        underWay = undefined;
      });
      return underWay;
    },
    /** Whether labels are being looked at, or what they said has not been taken yet; `onChange` tells of the end. */
    busy: (): boolean => background.isAny(),
    /** Ends the looks that are under way and begins no more. */
    close: (): void => background.close(),
  };
}

interface WatchLook {
  n: number;
  at: number;
  judged: LabelledJudgement | undefined;
}

/** A look of a step is none of the watch, which asks the opposite. */
const lookOf = ({ id, state }: Rollout): string => `${id}/${state === 'watching' ? 'watch' : 'step'}`;
