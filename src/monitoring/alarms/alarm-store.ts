import { ApiError, appendAudit, type Tx } from '../../platform/index.ts';
import type { DriftDb, DriftTables } from '../tables.ts';
import type { Alarm, Span, TestAspect } from './alarm.ts';

export interface NewAlarm {
  model: string;
  version: string;
  kind: Alarm['kind'];
  column: string;
  aspect: string;
  window: Span;
  evidence: Record<string, unknown>;
}

/** Where the messages of a model's alarms go. */
export interface WebhookTarget {
  url: string;
  form: 'json' | 'slack';
}

/** Alarms, what is said of them outside, and the sequences that raise them. */
export function createAlarmStore(tx: Tx) {
  const db = tx as DriftDb;

  async function get(id: number): Promise<Alarm> {
    const row = await db.selectFrom('monitor_alarms').selectAll().where('id', '=', id).executeTakeFirst();
    if (!row) throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No alarm has the number ${id}`);
    return toAlarm(row);
  }

  return {
    get,

    /** Newest first. */
    async list(
      filter: { model?: string; state?: Alarm['state']; kind?: Alarm['kind']; limit?: number } = {},
    ): Promise<Alarm[]> {
      let query = db.selectFrom('monitor_alarms').selectAll().orderBy('id', 'desc');
      if (filter.model !== undefined) query = query.where('model', '=', filter.model);
      if (filter.state !== undefined) query = query.where('state', '=', filter.state);
      if (filter.kind !== undefined) query = query.where('kind', '=', filter.kind);
      return (await query.limit(filter.limit ?? 100).execute()).map(toAlarm);
    },

    async open(alarm: NewAlarm): Promise<Alarm> {
      const { last_id: id } = await db
        .updateTable('monitor_alarm_counter')
        .set((eb) => ({ last_id: eb('last_id', '+', 1) }))
        .where('only_row', '=', 1)
        .returning('last_id')
        .executeTakeFirstOrThrow();
      await db
        .insertInto('monitor_alarms')
        .values({
          id,
          model: alarm.model,
          version: alarm.version,
          kind: alarm.kind,
          column_name: alarm.column,
          aspect: alarm.aspect,
          opened_at: alarm.window.to,
          from_ms: alarm.window.from,
          to_ms: alarm.window.to,
          evidence: JSON.stringify(alarm.evidence),
          state: 'open',
        } as never)
        .execute();
      return get(id);
    },

    async addEvidence(id: number, change: Record<string, unknown>): Promise<void> {
      const { evidence } = await get(id);
      await db
        .updateTable('monitor_alarms')
        .set({ evidence: JSON.stringify({ ...evidence, ...change }) })
        .where('id', '=', id)
        .execute();
    },

    /** Answers the closed alarm; undefined when it was closed already, be it a moment ago by another server. */
    async close(id: number, how: { at: number; by: string; reason: string }): Promise<Alarm | undefined> {
      const { numUpdatedRows } = await db
        .updateTable('monitor_alarms')
        .set({ state: 'closed', closed_at: how.at, closed_by: how.by, close_reason: how.reason })
        .where('id', '=', id)
        .where('state', '=', 'open')
        .executeTakeFirst();
      return Number(numUpdatedRows) === 1 ? get(id) : undefined;
    },

    async acknowledge(
      id: number,
      how: { at: number; by: string; reason: string | undefined },
    ): Promise<Alarm> {
      await db
        .updateTable('monitor_alarms')
        .set({
          acknowledged_at: how.at,
          acknowledged_by: how.by,
          acknowledge_reason: how.reason ?? null,
        })
        .where('id', '=', id)
        .execute();
      return get(id);
    },

    async audit(alarm: Alarm, action: string, at: number, actor: string, reason?: string): Promise<void> {
      await appendAudit(tx, {
        at,
        actor,
        action: `alarm.${action}`,
        subject: `models/${alarm.model}`,
        ...(reason === undefined ? {} : { reason }),
        evidence: {
          alarm: alarm.id,
          kind: alarm.kind,
          version: alarm.version,
          ...(alarm.column === undefined ? {} : { column: alarm.column, aspect: alarm.aspect }),
          window: alarm.window,
          ...alarm.evidence,
        },
      });
    },
  };
}

function toAlarm(row: DriftTables['monitor_alarms']): Alarm {
  return {
    id: row.id,
    model: row.model,
    version: row.version,
    kind: row.kind as Alarm['kind'],
    ...(row.column_name === '' ? {} : { column: row.column_name, aspect: row.aspect as TestAspect }),
    openedAt: row.opened_at,
    window: { from: row.from_ms, to: row.to_ms },
    evidence: JSON.parse(row.evidence) as Record<string, unknown>,
    state: row.state as Alarm['state'],
    ...(row.closed_at === null ? {} : { closedAt: row.closed_at }),
    ...(row.closed_by === null ? {} : { closedBy: row.closed_by }),
    ...(row.close_reason === null ? {} : { closeReason: row.close_reason }),
    ...(row.acknowledged_at === null ? {} : { acknowledgedAt: row.acknowledged_at }),
    ...(row.acknowledged_by === null ? {} : { acknowledgedBy: row.acknowledged_by }),
    ...(row.acknowledge_reason === null ? {} : { acknowledgeReason: row.acknowledge_reason }),
  };
}
