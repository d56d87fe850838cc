import type { Tx } from '../../platform/index.ts';
import type { Alarm } from './alarm.ts';
import { createAlarmStore, type WebhookTarget } from './alarm-store.ts';
import { createOutboxStore } from './outbox-store.ts';

/** Closes alarms for one reason, tells the webhooks, and audits it; answers those that nobody else had closed. */
export async function closeAlarms(
  tx: Tx,
  open: readonly Alarm[],
  { reason, webhooks, now }: { reason: string; webhooks: WebhookTarget[]; now: number },
): Promise<Alarm[]> {
  const alarms = createAlarmStore(tx);
  const outbox = createOutboxStore(tx);
  const closed: Alarm[] = [];
  for (const { id } of open) {
    const done = await alarms.close(id, { at: now, by: 'tidemill', reason });
    if (done) closed.push(done);
  }
  for (const alarm of closed) await outbox.add(alarm, 'close', webhooks, now);
  // The audit is appended last: on PostgreSQL others wait for it until the commit.
  for (const alarm of closed) await alarms.audit(alarm, 'close', now, 'tidemill', reason);
  return closed;
}
