import { type Command, command } from '../platform/index.ts';
import type { ProfileReport, Reporter } from '../serving/contract.ts';
import type { Alarm } from './alarms/alarm.ts';
import { createAlarmStore, type WebhookTarget } from './alarms/alarm-store.ts';
import { closeAlarms } from './alarms/close-alarms.ts';
import { createOutboxStore } from './alarms/outbox-store.ts';
import type { DriftDb } from './tables.ts';
import { createProfileEntryStore } from './windows/profile-entry-store.ts';
import { createSegmentEntryStore } from './windows/segment-entry-store.ts';
import { createSequenceStore, type WatchedTest } from './windows/sequence-store.ts';
import {
  createWindowStore,
  type NewWindow,
  type PerformanceState,
  type WindowPerformance,
} from './windows/window-store.ts';

interface Watched {
  tests: WatchedTest[];
  testCount: number;
  webhooks: WebhookTarget[];
}

/** What a command found out about alarms. */
export interface Watching {
  isNew: boolean;
  opened: Alarm[];
  closed: Alarm[];
}

const NOTHING: Watching = { isNew: false, opened: [], closed: [] };

export const takeProfileReport = command(
  'monitoring.takeReport',
  (tx, input: { reporter: Reporter; report: ProfileReport; now: number }): Promise<void> =>
    createProfileEntryStore(tx).take(input.reporter, input.report, input.now),
);

/** Keeps a closed window and what it does to the alarms, once. */
export const closeWindow = command(
  'monitoring.closeWindow',
  async (tx, { window, watched }: { window: NewWindow; watched: Watched }): Promise<Watching> => {
    if (!(await createWindowStore(tx).add(window))) return NOTHING;
    const { model, version, from, to, closedAt } = window;
    await createSegmentEntryStore(tx).forget(model, from);
    if (window.state === 'off') {
      // Nothing would ever end them: no window is tested any more.
      const open = await createAlarmStore(tx).list({ model, state: 'open', kind: 'drift', limit: 1000 });
      await createSequenceStore(tx).forget(model, 'drift');
      const how = { reason: 'drift is not watched any more', webhooks: watched.webhooks, now: closedAt };
      return { isNew: true, opened: [], closed: await closeAlarms(tx, open, how) };
    }
    const outcome = await createSequenceStore(tx).watch({
      model,
      version,
      kind: 'drift',
      window: { from, to },
      now: closedAt,
      ...watched,
    });
    return { isNew: true, ...outcome };
  },
);

/** Keeps the performance of a window and what it does to the alarm, once. */
export const addPerformance = command(
  'monitoring.addPerformance',
  async (
    tx,
    input: {
      model: string;
      version: string;
      from: number;
      to: number;
      state: PerformanceState;
      performance: WindowPerformance;
      watched: Watched;
      now: number;
    },
  ): Promise<Watching> => {
    const { model, version, from, to, state, performance, watched, now } = input;
    if (!(await createWindowStore(tx).addPerformance(model, from, { state, performance, at: now })))
      return NOTHING;
    const outcome = await createSequenceStore(tx).watch({
      model,
      version,
      kind: 'performance',
      window: { from, to },
      now,
      ...watched,
    });
    return { isNew: true, ...outcome };
  },
);

/** Another version serves now: its sequences begin anew, and alarms about the one before are over. */
export const beginWatch = command(
  'monitoring.beginWatch',
  async (
    tx,
    input: { model: string; version: string; webhooks: WebhookTarget[]; now: number },
  ): Promise<Alarm[]> => {
    const { model, version, webhooks, now } = input;
    await createSequenceStore(tx).forgetOthers(model, version);
    const open = await createAlarmStore(tx).list({ model, state: 'open', limit: 1000 });
    const others = open.filter((alarm) => alarm.version !== version);
    return closeAlarms(tx, others, { reason: `version ${version} serves now`, webhooks, now });
  },
);

export const closeAlarm = command(
  'monitoring.closeAlarm',
  async (
    tx,
    input: { id: number; actor: string; reason: string; webhooks: WebhookTarget[]; now: number },
  ): Promise<Alarm> => {
    const alarms = createAlarmStore(tx);
    const alarm = await alarms.close(input.id, { at: input.now, by: input.actor, reason: input.reason });
    if (!alarm) return alarms.get(input.id);
    await createSequenceStore(tx).release(input.id);
    await createOutboxStore(tx).add(alarm, 'close', input.webhooks, input.now);
    await alarms.audit(alarm, 'close', input.now, input.actor, input.reason);
    return alarm;
  },
);

export const acknowledgeAlarm = command(
  'monitoring.acknowledgeAlarm',
  async (
    tx,
    input: { id: number; actor: string; reason: string | undefined; now: number },
  ): Promise<Alarm> => {
    const alarms = createAlarmStore(tx);
    const { state } = await alarms.get(input.id);
    const how = { at: input.now, by: input.actor, reason: input.reason };
    const alarm = await alarms.acknowledge(input.id, how);
    if (state === 'open') await alarms.audit(alarm, 'acknowledge', input.now, input.actor, input.reason);
    return alarm;
  },
);

/** Adds what was found out about an alarm after it was raised. */
export const addEvidence = command(
  'monitoring.addEvidence',
  (tx, { id, evidence }: { id: number; evidence: Record<string, unknown> }): Promise<void> =>
    createAlarmStore(tx).addEvidence(id, evidence),
);

export const settleMessage = command(
  'monitoring.settleMessage',
  (
    tx,
    { id, ...outcome }: { id: string } & Parameters<ReturnType<typeof createOutboxStore>['settle']>[1],
  ): Promise<void> => createOutboxStore(tx).settle(id, outcome),
);

export const keepBaseline = command(
  'monitoring.keepBaseline',
  async (
    tx,
    row: { model: string; version: string; metric: string; windows: string; window_rule: string },
  ): Promise<void> => {
    await (tx as DriftDb)
      .insertInto('monitor_baselines')
      .values(row)
      .onConflict((conflict) =>
        conflict.columns(['model', 'version', 'metric']).doUpdateSet((eb) => ({
          windows: eb.ref('excluded.windows'),
          window_rule: eb.ref('excluded.window_rule'),
        })),
      )
      .execute();
  },
);

export const driftCommands: Command<any, any>[] = [
  takeProfileReport,
  closeWindow,
  addPerformance,
  beginWatch,
  closeAlarm,
  acknowledgeAlarm,
  addEvidence,
  settleMessage,
  keepBaseline,
];
