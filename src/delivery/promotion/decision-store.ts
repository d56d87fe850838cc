import type { Tx } from '../../platform/index.ts';
import type { DeliveryDb, DeliveryTables } from '../tables.ts';

/** What was found of a version, in one word. */
export const VERDICTS = [
  'first',
  'better',
  'non-inferior',
  'worse',
  'inconclusive',
  'incomparable',
  'blocked',
  'broken',
  'forced',
  'already serving',
  'passed',
  'by hand',
] as const;
export type Verdict = (typeof VERDICTS)[number];

/** What was done about it. */
export const OUTCOMES = [
  'promoted',
  'rollout',
  'refused',
  'unchanged',
  'next step',
  'paused',
  'resumed',
  'undone',
  'aborted',
  'rolled back',
  'done',
] as const;
export type Outcome = (typeof OUTCOMES)[number];

/** What asked: the gate, a rollout's evidence, the labels after it, or a person. */
export const DECISION_KINDS = ['gate', 'shadow', 'canary', 'watch', 'hand'] as const;
export type DecisionKind = (typeof DECISION_KINDS)[number];

/** One decision about what serves: who, when, why and on which evidence; also in the audit under the same number. */
export interface DecisionRecord {
  /** The sequence of its audit entry. */
  id: number;
  model: string;
  at: number;
  kind: DecisionKind;
  /** `champion.promote`, `rollout.undo`, … */
  action: string;
  version: number;
  champion: number | undefined;
  verdict: Verdict;
  outcome: Outcome;
  summary: string;
  actor: string;
  reason: string | undefined;
  evidence: Record<string, unknown>;
  rolloutId: string | undefined;
  key: string | undefined;
}

export function createDecisionStore(tx: Tx) {
  const db = tx as DeliveryDb;

  return {
    async add(decision: DecisionRecord): Promise<void> {
      await db
        .insertInto('decisions')
        .values({
          id: decision.id,
          model: decision.model,
          at: decision.at,
          kind: decision.kind,
          action: decision.action,
          version: decision.version,
          champion: decision.champion ?? null,
          verdict: decision.verdict,
          outcome: decision.outcome,
          summary: decision.summary,
          actor: decision.actor,
          reason: decision.reason ?? null,
          evidence: JSON.stringify(decision.evidence),
          rollout_id: decision.rolloutId ?? null,
          key: decision.key ?? null,
        })
        .execute();
    },

    async find(id: number): Promise<DecisionRecord | undefined> {
      const row = await db.selectFrom('decisions').selectAll().where('id', '=', id).executeTakeFirst();
      return row && toDecision(row);
    },

    async findByKey(key: string): Promise<DecisionRecord | undefined> {
      const row = await db.selectFrom('decisions').selectAll().where('key', '=', key).executeTakeFirst();
      return row && toDecision(row);
    },

    /** The newest first; `before` is the smallest id of the page before. */
    async list(filter: {
      model?: string;
      rolloutId?: string;
      before?: number | undefined;
      limit?: number;
    }): Promise<DecisionRecord[]> {
      let query = db
        .selectFrom('decisions')
        .selectAll()
        .orderBy('id', 'desc')
        .limit(filter.limit ?? 100);
      if (filter.model !== undefined) query = query.where('model', '=', filter.model);
      if (filter.rolloutId !== undefined) query = query.where('rollout_id', '=', filter.rolloutId);
      if (filter.before !== undefined) query = query.where('id', '<', filter.before);
      return (await query.execute()).map(toDecision);
    },

    /**
     * Which look at `evaluation` this is, counted from 1; written down before the rows are looked at. The same
     * question again finds what it found, so it is the same look. The caller holds the model.
     */
    async countLook(look: {
      model: string;
      evaluation: string;
      question: string;
      at: number;
      isOpen?: boolean;
    }): Promise<number> {
      const { model, evaluation, at, isOpen = false } = look;
      const looks = await db
        .selectFrom('gate_looks')
        .select(['k', 'question'])
        .where('model', '=', model)
        .where('evaluation', '=', evaluation)
        .orderBy('k', 'desc')
        .execute();
      const known =
        looks.find((each) => each.question === look.question) ??
        looks.find((each) => isOpen && each.question === OPEN);
      if (known) return known.k;
      const question = isOpen ? OPEN : look.question;
      const k = (looks[0]?.k ?? 0) + 1;
      await db.insertInto('gate_looks').values({ model, evaluation, k, question, at }).execute();
      return k;
    },

    /** Writes down what an open look has looked at; one that had ended stays as it is. The caller holds the model. */
    async endLook(look: { model: string; evaluation: string; question: string; k: number }): Promise<void> {
      const { model, evaluation, question, k } = look;
      await db
        .updateTable('gate_looks')
        .set({ question })
        .where('model', '=', model)
        .where('evaluation', '=', evaluation)
        .where('k', '=', k)
        .where('question', '=', OPEN)
        .execute();
    },
  };
}

/** The question of a look whose judgement has not ended: nothing was learned by it. */
const OPEN = 'open';

function toDecision(row: DeliveryTables['decisions']): DecisionRecord {
  return {
    id: row.id,
    model: row.model,
    at: row.at,
    kind: row.kind as DecisionKind,
    action: row.action,
    version: row.version,
    champion: row.champion ?? undefined,
    verdict: row.verdict as Verdict,
    outcome: row.outcome as Outcome,
    summary: row.summary,
    actor: row.actor,
    reason: row.reason ?? undefined,
    evidence: JSON.parse(row.evidence) as Record<string, unknown>,
    rolloutId: row.rollout_id ?? undefined,
    key: row.key ?? undefined,
  };
}
