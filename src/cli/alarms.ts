import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { usageError } from './terminal/cli-error.ts';
import { parseCount, withExamples, withUrl } from './terminal/options.ts';
import { formatTime, type Terminal } from './terminal/terminal.ts';

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
  close_reason?: string;
  acknowledged_by?: string;
}

interface WireWindow {
  from: number;
  to: number;
  version: string;
  rows: number;
  late_rows: number;
  state: string;
  note?: string;
  tests?: { column: string; aspect: string; p: number; psi: number; words?: string }[];
  performance?: { state: string; metric: string; value?: number; coverage?: number; p?: number };
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
          const answer = await controlPlane(options, terminal.io.env).get<{ alarms: WireAlarm[] }>(path, {
            limit: options.limit ?? 30,
            ...(options.open ? { state: 'open' } : {}),
          });
          terminal.document(answer);
          showAlarms(terminal, answer.alarms);
        },
      ),
    );
  withExamples(list, [
    ['tidemill alarms', ''],
    ['tidemill alarms flights --open', ''],
  ]);

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

export function configureWindows(command: Command, act: Act): void {
  command
    .argument('<model>', 'the model')
    .option('--limit <count>', 'at most so many', parseCount, 14)
    .option('--version <number>', 'of this version only')
    .action(
      act(async (terminal, model: string, options: { limit?: number; version?: string; url?: string }) => {
        const answer = await controlPlane(options, terminal.io.env).get<{ windows: WireWindow[] }>(
          `/api/v1/models/${encodeURIComponent(model)}/windows`,
          {
            limit: options.limit ?? 14,
            ...(options.version === undefined ? {} : { version: options.version }),
          },
        );
        terminal.document(answer);
        showWindows(terminal, model, answer.windows);
      }),
    );
  withUrl(command);
  withExamples(command, [['tidemill windows flights', 'what was tested day by day, and how it did']]);
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
      alarm.state === 'closed'
        ? `closed ${formatTime(alarm.closed_at)}`
        : alarm.acknowledged_by
          ? `open, ${alarm.acknowledged_by} is on it`
          : 'open',
      alarm.close_reason ?? alarm.text,
    ]),
  );
}

function whatOf({ kind, column, aspect }: WireAlarm): string {
  if (column === undefined) return kind;
  return aspect === 'values' ? column : `${column}, ${aspect}`;
}

const WINDOW_WORDS = [
  "drift: what differs from the training data; @score is the model's own answer (a probability, or its number), @class its class",
  'performance: p is how likely so bad a value is by chance; (reference) is a window that later ones are compared with',
];

function showWindows(terminal: Terminal, model: string, windows: WireWindow[]): void {
  if (windows.length === 0) {
    terminal.line(`No window of ${model} is closed yet: one closes an hour after its day, by event time.`);
    return;
  }
  terminal.table(
    ['from', 'to', 'version', 'rows', 'drift', 'performance', 'labels'],
    windows.map((window) => [
      formatTime(window.from),
      formatTime(window.to),
      window.version,
      window.rows,
      window.state === 'tested' ? driftOf(window) : window.state,
      performanceOf(window),
      window.performance?.coverage === undefined
        ? undefined
        : `${Math.round(window.performance.coverage * 100)} %`,
    ]),
  );
  for (const line of WINDOW_WORDS) terminal.note(line);
}

function driftOf({ tests = [] }: WireWindow): string {
  const columns = [
    ...new Set(tests.map(({ column, aspect }) => (aspect === 'values' ? column : `${column} ${aspect}`))),
  ];
  return columns.length === 0 ? 'none' : columns.join(', ');
}

function performanceOf({ performance }: WireWindow): string | undefined {
  if (performance === undefined) return undefined;
  const { metric, value, p, state } = performance;
  if (value === undefined) return state;
  return `${metric} ${value.toFixed(3)}${p === undefined ? ` (${state})` : `, p ${p.toPrecision(2)}`}`;
}

async function decide(
  terminal: Terminal,
  id: string,
  action: 'acknowledge' | 'close',
  body: object,
  options: { url?: string },
): Promise<void> {
  if (!/^\d+$/.test(id)) throw usageError(`${id} is no alarm: give its number, as tidemill alarms lists it`);
  const alarm = await controlPlane(options, terminal.io.env).post<WireAlarm>(
    `/api/v1/alarms/${id}/${action}`,
    body,
  );
  terminal.document(alarm);
  terminal.line(
    `${terminal.colors.green('✓')} alarm ${alarm.id} is ${alarm.state}${action === 'acknowledge' ? `, ${alarm.acknowledged_by ?? 'you'} is on it` : ''}`,
  );
}
