import { createHash } from 'node:crypto';
import { canonicalJson } from './canonical-json.ts';
import { command, type Migration, type Tx } from './database/index.ts';
import { ApiError } from './errors.ts';

/** Who did what to what, why, and on which evidence. */
export interface AuditEntry {
  /** Milliseconds since the epoch, from the platform's clock. */
  at: number;
  actor: string;
  /** What was done, as a word with a dot: `champion.promote`. */
  action: string;
  /** What it was done to, as a path: `models/churn`. */
  subject: string;
  reason?: string;
  /** Any JSON. */
  evidence?: unknown;
}

/** An entry in its place in the chain. `hash` covers the entry and `previousHash`, so all that came before. */
export interface RecordedAuditEntry extends AuditEntry {
  sequence: number;
  previousHash: string;
  hash: string;
}

interface AuditRow {
  sequence: number;
  at: number;
  actor: string;
  action: string;
  subject: string;
  reason: string | null;
  evidence: string | null;
  previous_hash: string;
  hash: string;
}

const GENESIS = '0'.repeat(64);
const PAGE_ROWS = 1000;

export const auditMigration: Migration = {
  id: '0001-platform-audit',
  async up(tx) {
    await tx.schema
      .createTable('audit_entries')
      .addColumn('sequence', 'bigint', (column) => column.primaryKey())
      .addColumn('at', 'bigint', (column) => column.notNull())
      .addColumn('actor', 'text', (column) => column.notNull())
      .addColumn('action', 'text', (column) => column.notNull())
      .addColumn('subject', 'text', (column) => column.notNull())
      .addColumn('reason', 'text')
      .addColumn('evidence', 'text')
      .addColumn('previous_hash', 'text', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .execute();
    await tx.schema
      .createIndex('audit_entries_subject')
      .on('audit_entries')
      .columns(['subject', 'sequence'])
      .execute();
    // One row: whoever appends holds it until the commit, so entries are chained one after the other.
    await tx.schema
      .createTable('audit_head')
      .addColumn('id', 'integer', (column) => column.primaryKey())
      .addColumn('sequence', 'bigint', (column) => column.notNull())
      .addColumn('hash', 'text', (column) => column.notNull())
      .execute();
    await tx.insertInto('audit_head').values({ id: 1, sequence: 0, hash: GENESIS }).execute();
  },
};

/**
 * Appends to the audit chain inside the caller's transaction: the entry stands exactly if what it tells of does.
 * Append last in a command: on PostgreSQL other appenders wait from here to the commit.
 */
export async function appendAudit(tx: Tx, entry: AuditEntry): Promise<{ sequence: number; hash: string }> {
  const head = (await tx
    .updateTable('audit_head')
    .set((eb) => ({ sequence: eb('sequence', '+', 1) }))
    .where('id', '=', 1)
    .returning(['sequence', 'hash'])
    .executeTakeFirstOrThrow()) as { sequence: number; hash: string };
  const row = {
    sequence: head.sequence,
    at: entry.at,
    actor: entry.actor,
    action: entry.action,
    subject: entry.subject,
    reason: entry.reason ?? null,
    evidence: entry.evidence === undefined ? null : canonicalJson(entry.evidence),
    previous_hash: head.hash,
  };
  const hash = hashRow(row);
  await tx
    .insertInto('audit_entries')
    .values({ ...row, hash })
    .execute();
  await tx.updateTable('audit_head').set({ hash }).where('id', '=', 1).execute();
  return { sequence: head.sequence, hash };
}

/** Appends an entry that no other write goes with. */
export const appendAuditEntry = command('audit.append', appendAudit);

export type AuditStore = ReturnType<typeof createAuditStore>;

/** Reads the audit chain; `db` is `database.reader`, or a command's `tx`. */
export function createAuditStore(db: Tx) {
  return {
    /** Newest first, at most `limit` (default 100); `before` is the lowest sequence of the page before. */
    async list(
      filter: { subject?: string; limit?: number; before?: number } = {},
    ): Promise<RecordedAuditEntry[]> {
      const { subject, limit = 100, before } = filter;
      if (!Number.isSafeInteger(limit) || limit < 1 || limit > PAGE_ROWS)
        throw new ApiError('INVALID_PARAMETER_VALUE', `limit must be 1 to ${PAGE_ROWS}, got ${limit}`);
      let query = db.selectFrom('audit_entries').selectAll().orderBy('sequence', 'desc').limit(limit);
      if (subject !== undefined) query = query.where('subject', '=', subject);
      if (before !== undefined) query = query.where('sequence', '<', before);
      return ((await query.execute()) as AuditRow[]).map(toEntry);
    },

    /** Recomputes the whole chain. `firstBroken` is the first entry that was changed, removed or put in later. */
    async verify(): Promise<{ ok: boolean; entries: number; firstBroken?: number }> {
      const head = (await db.selectFrom('audit_head').selectAll().executeTakeFirstOrThrow()) as {
        sequence: number;
        hash: string;
      };
      let previous = { sequence: 0, hash: GENESIS };
      for (;;) {
        const rows = (await db
          .selectFrom('audit_entries')
          .selectAll()
          .where('sequence', '>', previous.sequence)
          .where('sequence', '<=', head.sequence)
          .orderBy('sequence')
          .limit(PAGE_ROWS)
          .execute()) as AuditRow[];
        for (const row of rows) {
          const expected = previous.sequence + 1;
          if (row.sequence !== expected || row.previous_hash !== previous.hash || row.hash !== hashRow(row))
            return { ok: false, entries: head.sequence, firstBroken: expected };
          previous = row;
        }
        if (rows.length < PAGE_ROWS) break;
      }
      if (previous.sequence !== head.sequence)
        return { ok: false, entries: head.sequence, firstBroken: previous.sequence + 1 };
      if (previous.hash !== head.hash)
        return { ok: false, entries: head.sequence, firstBroken: head.sequence };
      return { ok: true, entries: head.sequence };
    },
  };
}

function hashRow(row: Omit<AuditRow, 'hash'>): string {
  const { sequence, at, actor, action, subject, reason, evidence, previous_hash } = row;
  return createHash('sha256')
    .update(canonicalJson({ sequence, at, actor, action, subject, reason, evidence, previous_hash }))
    .digest('hex');
}

function toEntry(row: AuditRow): RecordedAuditEntry {
  return {
    sequence: row.sequence,
    at: row.at,
    actor: row.actor,
    action: row.action,
    subject: row.subject,
    ...(row.reason !== null && { reason: row.reason }),
    ...(row.evidence !== null && { evidence: JSON.parse(row.evidence) as unknown }),
    previousHash: row.previous_hash,
    hash: row.hash,
  };
}
