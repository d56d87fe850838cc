import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { DURATION_RIGHT, parseDuration } from '../platform/index.ts';
import { controlPlane, modelServer } from './http/http-client.ts';
import { readReplayRows, waitUntilAnswered } from './replay/replay-table.ts';
import { showWeeks } from './replay/show-weeks.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { interruption } from './terminal/interruption.ts';
import { parseCount, withExamples, withServeUrl, withUrl } from './terminal/options.ts';
import { formatCount } from './terminal/terminal.ts';

const DAY_MS = 86_400_000;
/** A first training may take this long. */
const SERVED_WITHIN_MS = 120_000;
const TOO_LATE = (days: number): string =>
  `the platform is ${days} days ahead of these rows: a request or label of a later time, or of none, came before. They count as late: no window tests them and nothing is retrained for them. To live through them, start \`tidemill up --clock events\` with another --data folder`;

interface ReplayCommandOptions {
  url?: string;
  serveUrl?: string;
  time: string;
  target: string;
  labelDelay?: number;
  step?: number;
  connections: number;
  pace: boolean;
  until?: number;
}

export function configureReplay(command: Command, act: Act): void {
  command
    .argument('<model>', 'the model to ask')
    .argument('<file>', 'a dated table: CSV, Parquet or JSON lines')
    .requiredOption('--time <column>', 'the column that says when a row happened')
    .requiredOption('--target <target>', 'the truth: a column, or an expression such as "delay > 15"')
    .option('--label-delay <duration>', 'how long after its row a label comes (default: 1d)', duration)
    .option(
      '--step <duration>',
      'what is sent at once, before the platform is waited for (default: 1d)',
      duration,
    )
    .option('--until <date>', 'leave out the rows from this date on, such as 2001-02-15', date)
    .option('--connections <count>', 'requests under way at a time', parseCount, 16)
    .option('--no-pace', 'do not wait for the platform between the steps')
    .action(
      act(async (terminal, model: string, file: string, options: ReplayCommandOptions) => {
        const { io } = terminal;
        const signal = interruption(io);
        const client = controlPlane(options, io.env);
        const { clock } = await client.get<{ clock: string }>('/api/v1/loop');
        if (clock !== 'events' && options.pace) {
          throw new CliError(
            'this platform lives by the wall clock, so a replay would not make it live through the past: start it with --clock events, or send without waiting by --no-pace',
          );
        }
        const serve = await modelServer(options, io.env);
        const all = await readReplayRows(resolve(io.cwd, file), options);
        const { until = Number.POSITIVE_INFINITY } = options;
        const rows = all.filter(({ at }) => at < until);
        terminal.note('waits until the model answers');
        const firstAnswer = await waitUntilAnswered(
          { serveUrl: serve.url, model, rows, signal },
          SERVED_WITHIN_MS,
        );
        const { replayWeeks } = await import('./replay/replay-weeks.ts');
        const totals = { requests: 0, labels: 0, labels_later: 0, errors: 0 };
        const showWeek = showWeeks(terminal);
        let isTold = false;
        const replay = replayWeeks({
          model,
          serveUrl: serve.url,
          client,
          rows,
          firstAnswer,
          labelDelayMs: options.labelDelay ?? DAY_MS,
          stepMs: options.step ?? DAY_MS,
          connections: options.connections,
          signal,
          isPaced: options.pace,
          onStep: ({ from, sent, week, labelsLater, aheadMs = 0 }) => {
            totals.labels_later = labelsLater;
            if (aheadMs > DAY_MS && !isTold) {
              isTold = true;
              terminal.warn(TOO_LATE(Math.round(aheadMs / DAY_MS)));
            }
            terminal.progress({
              label: new Date(from).toISOString().slice(0, 10),
              done: sent,
              total: rows.length,
              detail: `${totals.labels + week.labels} labels, ${totals.errors + week.errors} errors`,
            });
          },
        });
        for await (const week of replay) {
          totals.requests += week.requests;
          totals.labels += week.labels;
          totals.errors += week.errors;
          showWeek(week);
        }
        terminal.document({ model, ...totals });
        terminal.line(`${totals.requests} requests, ${totals.labels} labels, ${totals.errors} errors`);
        if (totals.labels_later > 0) {
          const last = new Date(rows.at(-1)?.at ?? 0).toISOString().slice(0, 10);
          terminal.line(
            `${formatCount(totals.labels_later, 'labels')} not sent: they would come after ${last}, the day of the last row (--label-delay)`,
          );
        }
        terminal.line(`what came of it: \`tidemill alarms ${model}\`, \`tidemill models ${model}\``);
        if (totals.errors > 0) throw new CliError(`${totals.errors} requests failed`);
      }),
    );
  withServeUrl(withUrl(command));
  withExamples(command, [
    [
      "tidemill replay flights live.parquet --time date --target 'delay > 15'",
      'a platform started by `up --clock events`',
    ],
  ]);
}

function duration(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms <= 0) throw new InvalidArgumentError(`It must be ${DURATION_RIGHT}.`);
  return ms;
}

function date(text: string): number {
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('It must be a date such as 2001-02-15.');
  return ms;
}
