import { ApiError, appendAudit, type Tx } from '../../platform/index.ts';
import {
  createChampionStore,
  type ExpectedChampion,
  type MoveCause,
  putChampion,
} from '../../registry/index.ts';
import { createRolloutStore } from '../rollout/rollout-store.ts';
import { createDecisionStore, type DecisionRecord } from './decision-store.ts';

/** What somebody decided, before it has its number. */
export type NewDecision = Omit<DecisionRecord, 'id' | 'rolloutId'>;

/** The decision's action is `champion.…` where it moves the champion, whose recorder writes the audit itself. */
export function causeOf(decision: NewDecision): MoveCause {
  return {
    action: decision.action.replace(/^champion\./, ''),
    actor: decision.actor,
    ...(decision.reason === undefined ? {} : { reason: decision.reason }),
    evidence: { verdict: decision.verdict, summary: decision.summary, ...decision.evidence },
    at: decision.at,
  };
}

/** Makes the decided version the champion; gives the entry of the audit and the revision of the move. */
export async function moveTo(
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
export async function endWatches(tx: Tx, model: string, version: number, at: number): Promise<void> {
  const rollouts = createRolloutStore(tx);
  for (const { id, epoch } of await rollouts.inStates(['watching'], model)) {
    await rollouts.change(id, epoch, {
      state: 'done',
      endedAt: at,
      note: `version ${version} took its place`,
    });
  }
}

/** Appends the decision to the audit; for one that moves no champion, whose recorder does it itself. */
export async function auditDecision(tx: Tx, decision: NewDecision): Promise<number> {
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

export async function addDecision(tx: Tx, decision: DecisionRecord): Promise<DecisionRecord> {
  await createDecisionStore(tx).add(decision);
  return decision;
}
