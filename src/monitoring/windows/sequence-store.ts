import type { Tx } from '../../platform/index.ts';
import type { Alarm, Span } from '../alarms/alarm.ts';
import { createAlarmStore, type WebhookTarget } from '../alarms/alarm-store.ts';
import { createOutboxStore } from '../alarms/outbox-store.ts';
import { AVERAGE_RUN_LENGTH, advanceWatch, FRESH_WATCH, type WatchState } from '../drift/watch-tests.ts';
import type { DriftDb } from '../tables.ts';

/** One test of a window, and what its alarm would say. */
export interface WatchedTest {
  /** '' for a test that is of no column. */
  column: string;
  aspect: string;
  p: number;
  evidence: Record<string, unknown>;
}

export interface WatchedWindow {
  model: string;
  version: string;
  kind: Alarm['kind'];
  window: Span;
  tests: WatchedTest[];
  /** All running tests: the threshold's factor. */
  testCount: number;
  webhooks: WebhookTarget[];
  now: number;
}

/** The sequences of e-values that raise alarms, kept in the database from window to window. */
export function createSequenceStore(tx: Tx) {
  const db = tx as DriftDb;
  const alarms = createAlarmStore(tx);
  const outbox = createOutboxStore(tx);

  async function load(model: string, kind: string, version: string) {
    const rows = await db
      .selectFrom('monitor_sequences')
      .selectAll()
      .where('model', '=', model)
      .where('kind', '=', kind)
      .where('version', '=', version)
      .execute();
    return new Map(
      rows.map((row) => [
        keyOf(row.column_name, row.aspect),
        {
          alarmId: row.alarm_id ?? undefined,
          state: {
            logM: row.log_m ?? Number.NEGATIVE_INFINITY,
            runs: row.runs,
            quiet: row.quiet,
            isOpen: row.alarm_id !== null,
          } satisfies WatchState,
        },
      ]),
    );
  }

  async function save(
    { model, kind, version }: WatchedWindow,
    states: { test: WatchedTest; state: WatchState; alarmId: number | undefined }[],
  ): Promise<void> {
    if (states.length === 0) return;
    await db
      .insertInto('monitor_sequences')
      .values(
        states.map(({ test, state, alarmId }) => ({
          model,
          kind,
          version,
          column_name: test.column,
          aspect: test.aspect,
          log_m: Number.isFinite(state.logM) ? state.logM : null,
          runs: state.runs,
          quiet: state.quiet,
          alarm_id: alarmId ?? null,
        })),
      )
      .onConflict((conflict) =>
        conflict.columns(['model', 'kind', 'column_name', 'aspect']).doUpdateSet((eb) => ({
          version: eb.ref('excluded.version'),
          log_m: eb.ref('excluded.log_m'),
          runs: eb.ref('excluded.runs'),
          quiet: eb.ref('excluded.quiet'),
          alarm_id: eb.ref('excluded.alarm_id'),
        })),
      )
      .execute();
  }

  return {
    /** Takes a closed window's tests into their sequences; opens and closes alarms, audits them and says so outside. */
    async watch(watched: WatchedWindow): Promise<{ opened: Alarm[]; closed: Alarm[] }> {
      const known = await load(watched.model, watched.kind, watched.version);
      const opened: Alarm[] = [];
      const closed: Alarm[] = [];
      const states: { test: WatchedTest; state: WatchState; alarmId: number | undefined }[] = [];
      const told: { alarm: Alarm; action: 'open' | 'close'; reason?: string }[] = [];
      for (const test of watched.tests) {
        const before = known.get(keyOf(test.column, test.aspect));
        const step = advanceWatch(before?.state ?? FRESH_WATCH, test.p, watched.testCount);
        const sequence = {
          log_m: Number.isFinite(step.logM) ? step.logM : null,
          log_threshold: Math.log(watched.testCount * AVERAGE_RUN_LENGTH),
          tests: watched.testCount,
          average_run_length: AVERAGE_RUN_LENGTH,
        };
        let alarmId = before?.alarmId;
        if (step.event === 'opened') {
          const alarm = await alarms.open({
            model: watched.model,
            version: watched.version,
            kind: watched.kind,
            column: test.column,
            aspect: test.aspect,
            window: watched.window,
            evidence: { ...test.evidence, sequence },
          });
          alarmId = alarm.id;
          opened.push(alarm);
          told.push({ alarm, action: 'open' });
        } else if (step.event === 'again' && alarmId !== undefined) {
          await alarms.addEvidence(alarmId, {
            last_confirmed: { window: watched.window, p: test.p, sequence },
          });
        } else if (step.event === 'closed' && alarmId !== undefined) {
          const reason = `${QUIET_TEXT} until ${new Date(watched.window.to).toISOString()}`;
          const alarm = await alarms.close(alarmId, { at: watched.now, by: 'tidemill', reason });
          if (alarm) {
            closed.push(alarm);
            told.push({ alarm, action: 'close', reason });
          }
          alarmId = undefined;
        }
        states.push({ test, state: step.state, alarmId });
      }
      await save(watched, states);
      for (const { alarm, action } of told) await outbox.add(alarm, action, watched.webhooks, watched.now);
      // The audit is appended last: on PostgreSQL others wait for it until the commit.
      for (const { alarm, action, reason } of told)
        await alarms.audit(alarm, action, watched.now, 'tidemill', reason);
      return { opened, closed };
    },

    /** Another version serves: what was learned against the old one's reference says nothing of it. */
    async forgetOthers(model: string, version: string): Promise<void> {
      await db
        .deleteFrom('monitor_sequences')
        .where('model', '=', model)
        .where('version', '<>', version)
        .execute();
    },

    /** The policy watches this no more: evidence of long ago must not count when it does again. */
    async forget(model: string, kind: string): Promise<void> {
      await db.deleteFrom('monitor_sequences').where('model', '=', model).where('kind', '=', kind).execute();
    },

    /** An alarm was closed by hand: its test goes on, and may open another. */
    async release(alarmId: number): Promise<void> {
      await db
        .updateTable('monitor_sequences')
        .set({ alarm_id: null, quiet: 0 })
        .where('alarm_id', '=', alarmId)
        .execute();
    },

    async list(model: string): Promise<
      {
        kind: string;
        version: string;
        column: string;
        aspect: string;
        logM: number | undefined;
        runs: number;
      }[]
    > {
      const rows = await db
        .selectFrom('monitor_sequences')
        .selectAll()
        .where('model', '=', model)
        .orderBy('kind')
        .orderBy('column_name')
        .orderBy('aspect')
        .execute();
      return rows.map((row) => ({
        kind: row.kind,
        version: row.version,
        column: row.column_name,
        aspect: row.aspect,
        logM: row.log_m ?? undefined,
        runs: row.runs,
      }));
    },
  };
}

const QUIET_TEXT = 'five quiet windows in a row,';

const keyOf = (column: string, aspect: string) => JSON.stringify([column, aspect]);
