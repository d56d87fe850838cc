import type { RetrainPolicy } from '../project/project-schema.ts';
import type { Decision, TriggerKind } from '../tables.ts';

export interface OpenAlarm {
  id: string;
  kind: 'drift' | 'performance';
  column?: string;
  openedAt: number;
  /** When the window that raised it began. */
  since?: number;
}

/** What is known of a model when its triggers are looked at. Times are by the platform's clock. */
export interface TriggerState {
  model: string;
  now: number;
  policy: RetrainPolicy | undefined;
  /** The next time of the schedule after `scheduleAfter`; undefined without a schedule. */
  scheduledAt: number | undefined;
  lastStarted: Decision | undefined;
  /** Whether the registry has a version of it. */
  hasVersions: boolean;
  /** Open alarms about the version that serves, the oldest first. */
  openAlarms: readonly OpenAlarm[];
  dataset: { version: number; digest: string } | undefined;
  /** Labelled rows in the log; undefined when nobody asked. */
  labelledRows: number | undefined;
}

/** A reason to retrain; the same one has the same key, and is acted on once. */
export interface Cause {
  key: string;
  kind: TriggerKind;
  detail: Record<string, unknown>;
  /** From when on events are of the cause; undefined when it has no beginning. */
  since?: number;
}

/** What would start a retraining now, what says most first. */
export function findCauses(state: TriggerState): Cause[] {
  const { model, policy, lastStarted, dataset, labelledRows } = state;
  const cause = (kind: TriggerKind, id: string | number, detail: Cause['detail']): Cause => ({
    key: `${model}/${kind}/${id}`,
    kind,
    detail,
  });
  const causes: Cause[] = [];
  if (!state.hasVersions && dataset !== undefined) {
    causes.push(cause('first', dataset.digest, { dataset_version: dataset.version }));
  }
  if (policy === undefined) return causes;
  // What an earlier retraining did not cure is a cause again.
  const since = `after-${lastStarted?.sequence ?? 0}`;
  for (const kind of ['performance', 'drift'] as const) {
    const alarms = policy.on.includes(kind) ? state.openAlarms.filter((alarm) => alarm.kind === kind) : [];
    if (alarms[0] === undefined) continue;
    const columns = [...new Set(alarms.flatMap(({ column }) => (column === undefined ? [] : [column])))];
    const found = cause(kind, `${alarms[0].id}/${since}`, {
      alarms: alarms.map(({ id }) => id),
      ...(columns.length > 0 && { columns }),
      opened_at: alarms[0].openedAt,
    });
    causes.push({ ...found, since: alarms[0].since ?? alarms[0].openedAt });
  }
  if (state.scheduledAt !== undefined && state.scheduledAt <= state.now) {
    causes.push(
      cause('schedule', state.scheduledAt, { schedule: policy.schedule, scheduled_at: state.scheduledAt }),
    );
  }
  if (policy.on.includes('newData') && lastStarted !== undefined) {
    const { datasetVersion = 0, labelledRows: rowsBefore = 0 } = lastStarted;
    if (dataset !== undefined && dataset.version > datasetVersion) {
      causes.push(cause('newData', `dataset-${dataset.version}`, { dataset_version: dataset.version }));
    }
    const added = (labelledRows ?? 0) - rowsBefore;
    if (added >= policy.newRows) causes.push(cause('newData', `rows/${since}`, { labelled_rows: added }));
  }
  return causes;
}

/** Until when the last retraining keeps others away; undefined when it does not. */
export function cooldownUntil(
  lastStarted: Pick<Decision, 'at'> | undefined,
  cooldownMs: number,
  now: number,
): number | undefined {
  // A clock that follows events may begin before the machine's own time, by which the first retraining started.
  if (lastStarted === undefined || lastStarted.at > now) return undefined;
  const until = lastStarted.at + cooldownMs;
  return until > now ? until : undefined;
}
