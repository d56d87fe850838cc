import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createHttpClient, type HttpClient } from './http/http-client.ts';
import { type RollbackUnderLoad, rollBackUnderLoad } from './http/roll-back-under-load.ts';
import { makeOwnFolder } from './launch/own-folder.ts';
import { type SpawnedUp, spawnUp, spawnUpBesideOthers } from './launch/spawn-up.ts';
import { type ReplayRow, readReplayRows, waitUntilAnswered } from './replay/replay-table.ts';
import type { ReplayWeek } from './replay/replay-weeks.ts';
import { showWeeks } from './replay/show-weeks.ts';
import type { Act } from './terminal/act.ts';
import { CliError, usageError } from './terminal/cli-error.ts';
import { commandPrefix } from './terminal/command-prefix.ts';
import { interruption, whenAborted } from './terminal/interruption.ts';
import { parseCount, withExamples, withHost, withPort, withServePort } from './terminal/options.ts';
import { formatCount, formatDuration, type Terminal } from './terminal/terminal.ts';

/** The project that the demo runs; also in the published package. */
const FLIGHTS = fileURLToPath(new URL('../../examples/flights/', import.meta.url));
const MODEL = 'flights';
const TARGET = 'delay > 15';
const TIME = 'date';
const DAY_MS = 86_400_000;
/** A first training takes seconds; on a machine that does much else, minutes. */
const SERVED_WITHIN_MS = 300_000;
/** A plane that leaves Phoenix for Los Angeles early on a Tuesday in April. */
const FLIGHT = { date: '2001-04-03T07:15:00Z', distance: 370, destination: 'LAX' };

interface DemoOptions {
  data?: string;
  host?: string;
  insecureNoAuth?: boolean;
  port?: string;
  servePort?: string;
  weeks?: number;
  exit?: boolean;
}

export function configureDemo(command: Command, act: Act): void {
  command
    .option('--data <dir>', 'data folder (default: a temporary one, removed at the end)')
    .option('--weeks <count>', 'live through so many weeks only', parseCount)
    .option('--exit', 'stop the platform at the end instead of leaving it running');
  withHost(withServePort(withPort(command)));
  command.action(
    act(async (terminal, options: DemoOptions) => {
      const signal = interruption(terminal.io);
      const given = options.data === undefined ? undefined : resolve(terminal.io.cwd, options.data);
      if (given !== undefined && existsSync(join(given, 'tidemill.db')))
        throw usageError(
          `${given} holds a platform already: give an empty folder, the demo starts at its beginning`,
        );
      const folder = await makeOwnFolder(tmpdir(), 'tidemill-demo-');
      const dataDir = given ?? join(folder, 'data');
      const project = join(folder, 'project');
      await cp(FLIGHTS, project, { recursive: true });
      const startedAt = performance.now();
      const platform = await startPlatform(terminal, { dataDir, project, options });
      try {
        const summary = await Promise.race([
          liveThrough(terminal, platform, {
            signal,
            weeks: options.weeks ?? Number.POSITIVE_INFINITY,
            startedAt,
          }),
          whenAborted(signal).then(() => {
            throw new CliError('interrupted', { exit: 'interrupted' });
          }),
        ]);
        terminal.document({ url: platform.url, serve_url: platform.serveUrl, data_dir: dataDir, ...summary });
        if (options.exit) {
          terminal.line(
            '\nStopped. Without --exit it keeps running, to look around: alarms, versions, rules, SQL.',
          );
        } else {
          showWhatToTry(terminal, platform);
          await Promise.race([whenAborted(signal), platform.exited]);
        }
      } finally {
        await platform.stop();
        await rm(folder, { recursive: true, force: true });
      }
    }),
  );
  withExamples(command, [
    ['tidemill demo', 'leaves the platform running'],
    ['tidemill demo --exit --json', 'one line of JSON a week, and a summary'],
  ]);
}

async function liveThrough(
  terminal: Terminal,
  { url, serveUrl }: SpawnedUp,
  { signal, weeks, startedAt }: { signal: AbortSignal; weeks: number; startedAt: number },
) {
  const { colors } = terminal;
  const { replayWeeks } = await import('./replay/replay-weeks.ts');
  const { scoreWithVersion } = await import('./replay/score-with-version.ts');
  const client = createHttpClient({ url, remedy: 'the demo started it' });
  const serve = createHttpClient({ url: serveUrl, remedy: 'the demo started it' });
  terminal.line(
    colors.bold('Will the plane, now leaving the gate in Phoenix, arrive more than 15 minutes late?'),
  );
  terminal.line(`\n${colors.bold('January 2001: the first model')}`);
  terminal.note('   trains on 24 days and judges on the 7 after them');
  const rows = await readReplayRows(join(FLIGHTS, 'live.parquet'), { target: TARGET, time: TIME });
  const firstAnswer = await waitUntilAnswered({ serveUrl, model: MODEL, rows, signal }, SERVED_WITHIN_MS);
  const version = firstAnswer.model_version;
  const unchanged = await scoreWithVersion(client, { model: MODEL, version }, rows);
  terminal.line(`   version ${version} serves after ${formatDuration(performance.now() - startedAt)}`);
  terminal.line(
    `\n${colors.bold('February to June: every flight a request, every label a day late')}\n` +
      `   AUC of what was answered; never: of version ${version}, had it never been retrained`,
  );

  const lived: ReplayWeek[] = [];
  const showWeek = showWeeks(terminal, { isScored: true });
  let last = 0;
  const replay = replayWeeks({
    model: MODEL,
    serveUrl,
    client,
    rows,
    firstAnswer,
    unchanged,
    labelDelayMs: DAY_MS,
    stepMs: DAY_MS,
    connections: 16,
    signal,
    onStep({ from, sent, week }) {
      last = sent - 1;
      terminal.progress({
        label: new Date(from).toISOString().slice(0, 10),
        done: sent,
        total: rows.length,
        detail: `${week.requests} requests this week`,
      });
    },
  });
  for await (const week of replay) {
    showWeek(week);
    const { scored: _, ...told } = week;
    terminal.document(told);
    lived.push(week);
    if (lived.length >= weeks) break;
  }
  terminal.closeBar();
  const rollback = await showRollback(terminal, client, serve, (rows[last] as ReplayRow).at);
  return summarise(terminal, { lived, rollback, startedAt });
}

/** Undoes the last promotion under load, where there is one to undo. */
async function showRollback(terminal: Terminal, client: HttpClient, serve: HttpClient, at: number) {
  const { history } = await client.get<{ history: unknown[] }>(`/api/v1/models/${MODEL}`);
  if (history.length < 2) {
    terminal.line('\nThere is nothing to undo: no other version has served yet.');
    return undefined;
  }
  terminal.line(`\n${terminal.colors.bold('One command undoes the last promotion, under load')}`);
  const rollback = await rollBackUnderLoad({
    client,
    serve,
    model: MODEL,
    body: { features: FLIGHT, timestamp: at },
    reason: 'demo: to show that it is quick',
  });
  const { from, to, ms, requests, errors, p50_ms: p50, p99_ms: p99 } = rollback;
  terminal.line(`   version ${to} answers again in the place of ${from} after ${ms} ms`);
  terminal.line(`   meanwhile ${requests} requests, ${errors} errors, p50 ${p50} ms, p99 ${p99} ms`);
  if (rollback.first_error) terminal.warn(`the first that failed: ${rollback.first_error}`);
  return rollback;
}

async function summarise(
  terminal: Terminal,
  {
    lived,
    rollback,
    startedAt,
  }: { lived: ReplayWeek[]; rollback: RollbackUnderLoad | undefined; startedAt: number },
) {
  const { compareScores, rounded } = await import('./replay/compare-scores.ts');
  const sum = (of: (week: ReplayWeek) => number) => lived.reduce((total, week) => total + of(week), 0);
  const texts = lived.flatMap(({ decisions }) => decisions);
  const count = (pattern: RegExp) => texts.filter((text) => pattern.test(text)).length;
  const mean = (of: (week: ReplayWeek) => number | null) => {
    const known = lived.map(of).filter((value) => value !== null);
    return rounded(known.reduce((total, value) => total + value, 0) / known.length);
  };
  const summary = {
    weeks: lived.length,
    requests: sum(({ requests }) => requests) + (rollback?.requests ?? 0),
    labels: sum(({ labels }) => labels),
    errors: sum(({ errors }) => errors) + (rollback?.errors ?? 0),
    alarms: sum(({ alarms }) => alarms.length),
    retrainings: count(/ (better|non-inferior|worse|inconclusive|blocked|incomparable)$/),
    promoted: count(/ champion$/),
    refused: count(/ (worse|inconclusive|blocked|incomparable)$/),
    undone: count(/ undone$/),
    mean_weekly_auc: mean(({ auc }) => auc),
    mean_weekly_auc_never_retrained: mean(({ auc_never_retrained: auc }) => auc),
    ...compareScores(lived.flatMap(({ scored }) => scored)),
    ...(rollback && { rollback }),
    total_ms: Math.round(performance.now() - startedAt),
  };
  const { colors } = terminal;
  const duration = formatDuration(summary.total_ms);
  const mark = summary.errors === 0 ? colors.green('✓') : colors.red('✗');
  terminal.line(`\n${colors.bold(`${summary.weeks} weeks in ${duration}`)}`);
  terminal.line(`   ${mark} ${summary.requests} requests, ${summary.errors} errors`);
  terminal.line(
    `   ${formatCount(summary.alarms, 'alarms')}, ${formatCount(summary.retrainings, 'retrainings')}: ${summary.promoted} promoted, ${summary.refused} refused, ${summary.undone} undone by the watch of late labels`,
  );
  terminal.line(
    `   mean AUC of the weeks ${colors.bold(shown(summary.mean_weekly_auc))} with the loop, ${shown(summary.mean_weekly_auc_never_retrained)} without`,
  );
  if (summary.errors > 0) throw new CliError(`${summary.errors} requests failed`);
  return summary;
}

const shown = (value: number | null) => (value === null ? '–' : value.toFixed(3));

function showWhatToTry(terminal: Terminal, { url, serveUrl }: SpawnedUp): void {
  const command = commandPrefix(terminal.io.env);
  const { bold } = terminal.colors;
  const tries: [string, string[]][] = [
    ['what was noticed, and by how much', [`${command} alarms ${MODEL}`]],
    ['the versions, who moved what serves, and why', [`${command} models ${MODEL}`]],
    ['every rule that decides about the model', [`${command} explain ${MODEL}`]],
    [
      'what was answered, in SQL',
      [
        `${command} log query "select version, count(*) as requests, count(label) as labels from predictions group by version order by version"`,
      ],
    ],
    [
      'a prediction',
      [
        `curl -s ${serveUrl}/predict -H 'content-type: application/json' -d '${JSON.stringify({ features: FLIGHT })}'`,
      ],
    ],
  ];
  terminal.line(
    `\n${bold('Look around')}: the platform keeps running; stop it with ^C. In another terminal:`,
  );
  terminal.line(`   export TIDEMILL_URL=${url}`);
  for (const [what, lines] of tries) {
    terminal.line(`   # ${what}`);
    for (const line of lines) terminal.line(`   ${line}`);
  }
}

/** Starts `up` on the usual ports, or on free ones where they are taken and none was named. */
function startPlatform(
  terminal: Terminal,
  { dataDir, project, options }: { dataDir: string; project: string; options: DemoOptions },
): Promise<SpawnedUp> {
  const { host, insecureNoAuth, port, servePort } = options;
  const args = [
    '--clock',
    'events',
    '--data',
    dataDir,
    ...(host === undefined ? [] : ['--host', host]),
    ...(insecureNoAuth ? ['--insecure-no-auth'] : []),
    ...(port === undefined ? [] : ['--port', port]),
    ...(servePort === undefined ? [] : ['--serve-port', servePort]),
  ];
  // A day goes by in a fraction of a second.
  const env: Record<string, string | undefined> = { TIDEMILL_REPORT_MS: '50', ...terminal.io.env };
  if (env['DATABASE_URL']) {
    // A model of the demo's must not land among the user's own.
    terminal.note('leaves DATABASE_URL alone: the demo has a database of its own');
    delete env['DATABASE_URL'];
  }
  if (port !== undefined || servePort !== undefined) return spawnUp({ args, cwd: project, env });
  return spawnUpBesideOthers({ args, cwd: project, env }, () =>
    terminal.note('port 7070 or 7071 is taken, so the demo takes free ones'),
  );
}
