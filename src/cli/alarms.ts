import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { formatTime, type Terminal } from './terminal/terminal.ts';
import { noteUntested, type Untested } from './terminal/untested.ts';

interface AlarmList {
  alarms: WireAlarm[];
  /** Models whose drift is not tested now. */
  untested?: (Untested & { model: string })[];
}

interface WireAlarm {
  id: number;
  model: string;
  version: string;
  kind: string;
  column?: string;
  aspect?: string;
  state: string;
  opened_at: number;
  text: string;
  closed_at?: number;
  closed_by?: string;
  close_reason?: string;
  acknowledged_by?: string;
  acknowledge_reason?: string;
  window: { from: number; to: number };
  evidence: Evidence;
}

/** What an alarm is known by, of drift or of performance. */
interface Evidence {
  p?: number;
  psi?: number;
  rows?: number;
  reference_rows?: number;
  importance?: number;
  moved?: { label: string; reference: number; window: number }[];
  by_segment?: { segment: string; rows: number; psi: number; p: number }[];
  unseen_values?: { value: string; rows: number }[];
  notes?: string[];
  segments?: string | Record<string, ChangeBySegment>;
  sequence?: { log_m: number | null; log_threshold: number };
  last_confirmed?: { window: { from: number; to: number }; p: number };
}

interface ChangeBySegment {
  of: string;
  before: number;
  now: number;
  mix: number;
  behaviour: number;
  segments: {
    segment: string;
    share: { before: number; now: number };
    mean: { before?: number; now?: number };
  }[];
}

export function configureAlarms(command: Command, act: Act): void {
  const list = withUrl(command.command('list', { isDefault: true }).description('list alarms, newest first'))
    .argument('[model]', 'of this model only')
    .option('--open', 'only those that are open')
    .option('--limit <count>', 'at most so many', parseCount, 30)
    .action(
      act(
        async (
          terminal,
          model: string | undefined,
          options: { open?: boolean; limit?: number; url?: string },
        ) => {
          const path =
            model === undefined ? '/api/v1/alarms' : `/api/v1/models/${encodeURIComponent(model)}/alarms`;
          const answer = await controlPlane(options, terminal.io.env).get<AlarmList>(path, {
            limit: options.limit ?? 30,
            ...(options.open ? { state: 'open' } : {}),
          });
          terminal.document(answer);
          showAlarms(terminal, answer.alarms);
          for (const run of answer.untested ?? []) noteUntested(terminal, run);
        },
      ),
    );
  withExamples(list, [
    ['tidemill alarms', ''],
    ['tidemill alarms flights --open', ''],
  ]);

  const show = withUrl(command.command('show').description('show an alarm with its evidence'))
    .argument('<id>', 'the number of the alarm')
    .action(
      act(async (terminal, id: string, options: { url?: string }) => {
        const alarm = await controlPlane(options, terminal.io.env).get<WireAlarm>(
          `/api/v1/alarms/${checkId(id)}`,
        );
        terminal.document(alarm);
        showAlarm(terminal, alarm);
      }),
    );
  withExamples(show, [['tidemill alarms show 3', 'which values moved, and where']]);

  const acknowledge = withUrl(
    command.command('acknowledge').description('say that you look into an alarm; it stays open'),
  )
    .argument('<id>', 'the number of the alarm')
    .option('--reason <text>', 'what you are doing about it')
    .action(
      act(async (terminal, id: string, options: { reason?: string; url?: string }) => {
        const body = options.reason === undefined ? {} : { reason: options.reason };
        await decide(terminal, id, 'acknowledge', body, options);
      }),
    );
  withExamples(acknowledge, [['tidemill alarms acknowledge 3 --reason "asking the airline"', '']]);

  const close = withUrl(command.command('close').description('close an alarm by hand; its test goes on'))
    .argument('<id>', 'the number of the alarm')
    .requiredOption('--reason <text>', 'why it is over; kept in the audit log')
    .action(
      act(async (terminal, id: string, options: { reason: string; url?: string }) => {
        await decide(terminal, id, 'close', { reason: options.reason }, options);
      }),
    );
  withExamples(close, [['tidemill alarms close 3 --reason "the feed is mended"', '']]);
}

function showAlarms(terminal: Terminal, alarms: WireAlarm[]): void {
  if (alarms.length === 0) {
    terminal.line('No alarms.');
    return;
  }
  terminal.table(
    ['id', 'opened', 'model', 'version', 'what', 'state', 'says'],
    alarms.map((alarm) => [
      alarm.id,
      formatTime(alarm.opened_at),
      alarm.model,
      alarm.version,
      whatOf(alarm),
      stateOf(alarm),
      alarm.close_reason ?? alarm.text,
    ]),
  );
}

function showAlarm(terminal: Terminal, alarm: WireAlarm): void {
  const { evidence } = alarm;
  const { p, psi, rows, importance, sequence, last_confirmed: confirmed } = evidence;
  terminal.line(terminal.colors.bold(alarm.text));
  const fields: [label: string, value: string | number | undefined][] = [
    ['state', stateOf(alarm)],
    ['window', `${formatTime(alarm.window.from)} to ${formatTime(alarm.window.to)}`],
    ['last seen', confirmed && `${formatTime(confirmed.window.from)}, p ${confirmed.p.toPrecision(2)}`],
    ['rows', rows],
    ['p', p?.toPrecision(2)],
    ['PSI', psi?.toFixed(3)],
    ['importance', importance === undefined ? undefined : percent(importance)],
    [
      'evidence',
      sequence?.log_m == null
        ? undefined
        : `log M ${sequence.log_m.toFixed(1)}; the alarm is at ${sequence.log_threshold.toFixed(1)}`,
    ],
    ['new values', evidence.unseen_values?.map((each) => `${each.value} (${each.rows} rows)`).join(', ')],
    ['why closed', alarm.close_reason],
    ['note', evidence.notes?.join('; ')],
  ];
  for (const [label, value] of fields) if (value !== undefined) terminal.line(`${label.padEnd(12)}${value}`);
  if (evidence.moved?.length) {
    terminal.line('');
    terminal.table(
      ['values', 'reference', 'window'],
      evidence.moved.map(({ label, reference, window }) => [label, percent(reference), percent(window)]),
    );
  }
  if (evidence.by_segment?.length) {
    terminal.line('');
    terminal.table(
      ['most in', 'rows', 'PSI', 'p'],
      evidence.by_segment.map((each) => [
        each.segment,
        each.rows,
        each.psi.toFixed(3),
        each.p.toPrecision(2),
      ]),
    );
  }
  const { segments = {} } = evidence;
  if (typeof segments === 'string') {
    terminal.note(`by segment: ${segments}`);
    return;
  }
  for (const [column, change] of Object.entries(segments)) showChange(terminal, column, change);
}

function showChange(terminal: Terminal, column: string, change: ChangeBySegment): void {
  const signed = (value: number) => `${value >= 0 ? '+' : ''}${value.toFixed(4)}`;
  terminal.line('');
  terminal.line(
    `${change.of} by ${column}: ${change.before.toFixed(4)} before, ${change.now.toFixed(4)} now: ${signed(change.mix)} because other rows came, ${signed(change.behaviour)} because the same rows do otherwise`,
  );
  terminal.table(
    [column, 'share before', 'now', 'mean before', 'now'],
    change.segments
      .slice(0, 10)
      .map(({ segment, share, mean }) => [
        segment,
        percent(share.before),
        percent(share.now),
        mean.before?.toFixed(4),
        mean.now?.toFixed(4),
      ]),
  );
}

const percent = (share: number) => `${(share * 100).toFixed(1)} %`;

function stateOf(alarm: WireAlarm): string {
  if (alarm.state === 'closed') return `closed ${formatTime(alarm.closed_at)}`;
  return alarm.acknowledged_by ? `open, ${alarm.acknowledged_by} is on it` : 'open';
}

function whatOf({ kind, column, aspect }: WireAlarm): string {
  if (column === undefined) return kind;
  return aspect === 'values' ? column : `${column}, ${aspect}`;
}

async function decide(
  terminal: Terminal,
  id: string,
  action: 'acknowledge' | 'close',
  body: object,
  options: { url?: string },
): Promise<void> {
  const alarm = await controlPlane(options, terminal.io.env).post<WireAlarm>(
    `/api/v1/alarms/${checkId(id)}/${action}`,
    body,
  );
  terminal.document(alarm);
  terminal.line(
    `${terminal.colors.green('✓')} alarm ${alarm.id} is ${alarm.state}${action === 'acknowledge' ? `, ${alarm.acknowledged_by ?? 'you'} is on it` : ''}`,
  );
}

function checkId(id: string): string {
  if (/^\d+$/.test(id)) return id;
  throw usageError(`${id} is no alarm: give its number, as tidemill alarms lists it`);
}
