import type { Alarm } from './alarm.ts';

/** An alarm in one sentence. */
export function sayAlarm(alarm: Alarm): string {
  const { model, version, kind, column, aspect, window, evidence } = alarm;
  const when = sayWindow(window);
  const words = typeof evidence['words'] === 'string' ? `: ${evidence['words']}` : '';
  if (kind === 'performance') return `${model} ${version} answers worse than it used to ${when}${words}`;
  const what =
    aspect === 'missing'
      ? `missing values of ${column}`
      : aspect === 'unseen'
        ? `values of ${column} that the reference does not have`
        : `${column}`;
  return `${model} ${version}: ${what} differ${aspect === 'values' ? 's' : ''} from the reference ${when}${words}`;
}

function sayWindow({ from, to }: { from: number; to: number }): string {
  const text = (ms: number) =>
    new Date(ms)
      .toISOString()
      .replace(/(T00:00)?:00\.000Z$/, '')
      .replace('T', ' ');
  return to - from === 86_400_000 && from % 86_400_000 === 0
    ? `on ${text(from)}`
    : `from ${text(from)} to ${text(to)}`;
}

/** The body of a webhook: `json` has everything, `slack` is what Slack's and others' incoming webhooks show. */
export function writeAlarmMessage(
  alarm: Alarm,
  action: 'open' | 'close',
  form: 'json' | 'slack',
  { id, at }: { id: string; at: number },
): Record<string, unknown> {
  const text = `${action === 'open' ? 'Alarm' : 'Over'}: ${sayAlarm(alarm)}`;
  if (form === 'slack') {
    return { text, blocks: [{ type: 'section', text: { type: 'plain_text', text: text.slice(0, 3000) } }] };
  }
  return { id, event: `alarm.${action}`, at, text, alarm: toWireAlarm(alarm) };
}

/** An alarm as it goes over the wire. */
export function toWireAlarm(alarm: Alarm) {
  return {
    id: alarm.id,
    model: alarm.model,
    version: alarm.version,
    kind: alarm.kind,
    ...(alarm.column === undefined ? {} : { column: alarm.column }),
    ...(alarm.aspect === undefined ? {} : { aspect: alarm.aspect }),
    state: alarm.state,
    opened_at: alarm.openedAt,
    window: alarm.window,
    text: sayAlarm(alarm),
    evidence: alarm.evidence,
    ...(alarm.closedAt === undefined ? {} : { closed_at: alarm.closedAt }),
    ...(alarm.closedBy === undefined ? {} : { closed_by: alarm.closedBy }),
    ...(alarm.closeReason === undefined ? {} : { close_reason: alarm.closeReason }),
    ...(alarm.acknowledgedAt === undefined ? {} : { acknowledged_at: alarm.acknowledgedAt }),
    ...(alarm.acknowledgedBy === undefined ? {} : { acknowledged_by: alarm.acknowledgedBy }),
    ...(alarm.acknowledgeReason === undefined ? {} : { acknowledge_reason: alarm.acknowledgeReason }),
  };
}
