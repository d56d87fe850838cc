import { appendAudit, type Tx } from '../platform/index.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import { CHAMPION_ALIAS, type Champion, type Move, type RegistryDb, type RegistryTables } from './tables.ts';

/** Who changes what serves, how and why. */
export interface MoveCause {
  action: string;
  actor: string;
  reason?: string;
  evidence?: unknown;
  /** Milliseconds since the epoch. */
  at: number;
}

/** What serves of each model, and every change of it. */
export function createChampionStore(tx: Tx) {
  const db = tx as RegistryDb;
  const models = createRegisteredModelStore(tx);
  const versions = createModelVersionStore(tx);

  async function find(name: string): Promise<Champion | undefined> {
    const aliased = await models.findAlias(name, CHAMPION_ALIAS);
    if (aliased !== undefined) return { version: aliased, by: 'alias' };
    const staged = await versions.newestInProduction(name);
    return staged === undefined ? undefined : { version: staged, by: 'stage' };
  }

  async function lastMove(name: string) {
    return db
      .selectFrom('champion_moves')
      .selectAll()
      .where('name', '=', name)
      .orderBy('revision', 'desc')
      .limit(1)
      .executeTakeFirst();
  }

  async function getMove(revision: number) {
    return db.selectFrom('champion_moves').selectAll().where('revision', '=', revision).executeTakeFirst();
  }

  /**
   * The move that a rollback goes back to: what served before the current champion was put there, passing over
   * versions that are gone or cannot be served.
   */
  async function findRollbackTarget(name: string, current: number | undefined) {
    let move = await lastMove(name);
    while (move?.below != null) {
      move = await getMove(move.below);
      if (!move || move.to_version === null || move.to_version === current) continue;
      const version = await versions.find(name, move.to_version);
      if (version?.servable) return { version, below: move.below };
    }
    return undefined;
  }

  /** Marks that what model servers should serve may have changed. */
  async function bumpRevision(): Promise<number> {
    const { revision } = await db
      .updateTable('serving_revision')
      .set((eb) => ({ revision: eb('revision', '+', 1) }))
      .where('only_row', '=', 1)
      .returning('revision')
      .executeTakeFirstOrThrow();
    return revision;
  }

  return {
    find,
    lastMove,
    findRollbackTarget,
    bumpRevision,

    async revision(): Promise<number> {
      const row = await db.selectFrom('serving_revision').select('revision').executeTakeFirstOrThrow();
      return row.revision;
    },

    /** Every change of what served, the newest first. */
    async history(name: string, limit = 1000): Promise<Move[]> {
      const rows = await db
        .selectFrom('champion_moves')
        .selectAll()
        .where('name', '=', name)
        .orderBy('revision', 'desc')
        .limit(limit)
        .execute();
      return rows.map(toMove);
    },

    /**
     * Makes a change that may alter what serves. If it does, the move goes into the history and into the audit, and
     * the revision of the desired state rises, all in the caller's transaction.
     *
     * `below` is where the next rollback goes on from; a rollback gives its target's, so that repeated rollbacks walk
     * back through what served before.
     */
    async recordChange(
      name: string,
      cause: MoveCause,
      change: () => Promise<void>,
      below?: number | null,
    ): Promise<{ from: number | undefined; to: number | undefined; auditSequence: number | undefined }> {
      await models.lock(name);
      const from = (await find(name))?.version;
      const top = await lastMove(name);
      await change();
      const to = (await find(name))?.version;
      if (from === to) return { from, to, auditSequence: undefined };
      const revision = await bumpRevision();
      const { sequence } = await appendAudit(tx, {
        at: cause.at,
        actor: cause.actor,
        action: `champion.${cause.action}`,
        subject: `models/${name}`,
        ...(cause.reason === undefined ? {} : { reason: cause.reason }),
        evidence: { from: from ?? null, to: to ?? null, ...(cause.evidence as object | undefined) },
      });
      await db
        .insertInto('champion_moves')
        .values({
          revision,
          name,
          at: cause.at,
          action: cause.action,
          from_version: from ?? null,
          to_version: to ?? null,
          below: below === undefined ? (top?.revision ?? null) : below,
          actor: cause.actor,
          reason: cause.reason ?? null,
          evidence: cause.evidence === undefined ? null : JSON.stringify(cause.evidence),
          audit_sequence: sequence,
        })
        .execute();
      return { from, to, auditSequence: sequence };
    },
  };
}

function toMove(row: RegistryTables['champion_moves']): Move {
  return {
    revision: row.revision,
    name: row.name,
    at: row.at,
    action: row.action,
    from: row.from_version ?? undefined,
    to: row.to_version ?? undefined,
    actor: row.actor,
    reason: row.reason ?? undefined,
    evidence: row.evidence === null ? undefined : JSON.parse(row.evidence),
    auditSequence: row.audit_sequence,
  };
}
