import type { Tx } from '../../platform/index.ts';
import type { DriftDb } from '../tables.ts';
import type { Alarm } from './alarm.ts';
import type { WebhookTarget } from './alarm-store.ts';
import { writeAlarmMessage } from './write-alarm-message.ts';

export interface OutboxMessage {
  id: string;
  url: string;
  body: string;
  attempts: number;
}

/** Messages about alarms, written with the alarm and delivered afterwards, at least once. */
export function createOutboxStore(tx: Tx) {
  const db = tx as DriftDb;
  return {
    async add(alarm: Alarm, action: 'open' | 'close', targets: WebhookTarget[], now: number): Promise<void> {
      for (const [index, { url, form }] of targets.entries()) {
        const id = `${alarm.id}/${action}/${index}`;
        await db
          .insertInto('monitor_outbox')
          .values({
            id,
            alarm_id: alarm.id,
            url,
            form,
            body: JSON.stringify(writeAlarmMessage(alarm, action, form, { id, at: now })),
            attempts: 0,
            next_at: 0,
            state: 'waiting',
            last_error: null,
          })
          .onConflict((conflict) => conflict.column('id').doNothing())
          .execute();
      }
    },

    /** Messages whose next try is due at `now` of the machine's own clock, but those to `busy` receivers. */
    async due(now: number, limit: number, busy: readonly string[] = []): Promise<OutboxMessage[]> {
      let query = db
        .selectFrom('monitor_outbox')
        .select(['id', 'url', 'body', 'attempts'])
        .where('state', '=', 'waiting')
        .where('next_at', '<=', now)
        .orderBy('next_at')
        .orderBy('alarm_id')
        // What opened is told before what closed it.
        .orderBy('id', 'desc')
        .limit(limit);
      if (busy.length > 0) query = query.where('url', 'not in', busy);
      return query.execute();
    },

    async settle(
      id: string,
      outcome: {
        state: 'waiting' | 'delivered' | 'given up';
        attempts: number;
        nextAt: number;
        error?: string;
      },
    ): Promise<void> {
      await db
        .updateTable('monitor_outbox')
        .set({
          state: outcome.state,
          attempts: outcome.attempts,
          next_at: outcome.nextAt,
          last_error: outcome.error ?? null,
        })
        .where('id', '=', id)
        .execute();
    },

    async list(alarmId: number) {
      return db
        .selectFrom('monitor_outbox')
        .select(['id', 'url', 'state', 'attempts', 'last_error'])
        .where('alarm_id', '=', alarmId)
        .orderBy('id')
        .execute();
    },
  };
}
