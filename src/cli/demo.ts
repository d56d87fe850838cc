import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command } from 'commander';
import { createHttpClient, type HttpClient } from './http/http-client.ts';
import { measureLoad } from './http/measure-load.ts';
import { makeOwnFolder } from './launch/own-folder.ts';
import { type SpawnedUp, spawnUp } from './launch/spawn-up.ts';
import {
  type ReplayRow,
  type ReplayStep,
  readReplayRows,
  replayTable,
  waitUntilAnswered,
} from './replay/replay-table.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { commandPrefix } from './terminal/command-prefix.ts';
import { interruption, whenAborted } from './terminal/interruption.ts';
import { withExamples, withListening, withPort, withServePort } from './terminal/options.ts';
import { formatDuration, type Terminal } from './terminal/terminal.ts';

/** The project that the demo runs; also in the published package. */
const FLIGHTS = fileURLToPath(new URL('../../examples/flights/', import.meta.url));
const MODEL = 'flights';
const TARGET = 'delay > 15';
const TIME = 'date';
const DAY_MS = 86_400_000;
/** A plane that leaves Phoenix for Los Angeles early on a Tuesday in April. */
const FLIGHT = { date: '2001-04-03T07:15:00Z', distance: 370, destination: 'LAX' };

interface DemoOptions {
  data?: string;
  host?: string;
  port?: string;
  servePort?: string;
  weeks?: string;
  exit?: boolean;
}

export function configureDemo(command: Command, act: Act): void {
  command
    .option('--data <dir>', 'data folder (default: a temporary one, removed at the end)')
    .option('--weeks <count>', 'live through so many weeks only')
    .option('--exit', 'stop the platform at the end instead of leaving it running');
  withListening(withServePort(withPort(command)));
  command.action(
    act(async (terminal, options: DemoOptions) => {
      const signal = interruption(terminal.io);
      const folder = await makeOwnFolder(tmpdir(), 'tidemill-demo-');
      const dataDir =
        options.data === undefined ? join(folder, 'data') : resolve(terminal.io.cwd, options.data);
      const project = join(folder, 'project');
      await cp(FLIGHTS, project, { recursive: true });
      const startedAt = performance.now();
      const platform = await startPlatform(terminal, { dataDir, project, options });
      try {
        const summary = await Promise.race([
          liveThrough(terminal, platform, { signal, weeks: Number(options.weeks ?? 99), startedAt }),
          whenAborted(signal).then(() => {
            throw new CliError('interrupted', { exit: 'interrupted' });
          }),
        ]);
        terminal.document({ url: platform.url, serve_url: platform.serveUrl, data_dir: dataDir, ...summary });
        if (!options.exit) {
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

interface Week {
  week: string;
  requests: number;
  labels: number;
  errors: number;
  alarms: string[];
  decisions: string[];
  auc: number | null;
  auc_never_retrained: number | null;
  log_loss: number | null;
  log_loss_never_retrained: number | null;
}

/** A flight that was answered, with what the model of January alone would have said. */
interface Scored {
  isLate: boolean;
  loop: number;
  never: number;
}

async function liveThrough(
  terminal: Terminal,
  { url, serveUrl }: SpawnedUp,
  { signal, weeks, startedAt }: { signal: AbortSignal; weeks: number; startedAt: number },
) {
  const { colors } = terminal;
  const client = createHttpClient({ url, remedy: 'the demo started it' });
  const serve = createHttpClient({ url: serveUrl, remedy: 'the demo started it' });
  terminal.line(
    colors.bold('Will the plane, now leaving the gate in Phoenix, arrive more than 15 minutes late?'),
  );
  terminal.line(`\n${colors.bold('January 2001: the first model')}`);
  terminal.note('   trains on 24 days and judges on the 7 after them');
  const rows = await readReplayRows(join(FLIGHTS, 'live.parquet'), { target: TARGET, time: TIME });
  const { model_version: version } = await waitUntilAnswered(
    { serveUrl, model: MODEL, rows, signal },
    120_000,
  );
  const never = await scoreJanuary(client, version, rows);
  terminal.line(`   version ${version} serves after ${formatDuration(performance.now() - startedAt)}`);
  terminal.line(
    `\n${colors.bold('February to June: every flight a request, every label a day late')}\n` +
      '   AUC: of what was answered, and of the model of January had it never been retrained',
  );

  const lived: Week[] = [];
  const all: Scored[] = [];
  let scored: Scored[] = [];
  let current: Week | undefined;
  let at = 0;
  const close = async (end: number) => {
    if (current === undefined) return;
    const from = Date.parse(current.week);
    Object.assign(
      current,
      await readEvents(client, from, Math.min(end, from + 7 * DAY_MS)),
      await measure(scored),
    );
    showWeek(terminal, current, lived.length === 0);
    terminal.document(current);
    lived.push(current);
    all.push(...scored);
    scored = [];
    current = undefined;
  };
  const steps = replayTable({
    model: MODEL,
    serveUrl,
    client,
    rows,
    labelDelayMs: DAY_MS,
    stepMs: DAY_MS,
    connections: 16,
    signal,
  });
  for await (const step of steps) {
    const week = mondayOf(step.from);
    if (current !== undefined && current.week !== week) await close(step.from);
    if (lived.length >= weeks) break;
    current ??= emptyWeek(week);
    addStep(current, step);
    for (const { row, answer } of step.rows) {
      const loop = answer?.probabilities?.['true'];
      if (loop !== undefined) scored.push({ isLate: row.label === true, loop, never: never[at] as number });
      at += 1;
    }
    const day = new Date(step.from).toISOString().slice(0, 10);
    terminal.progress({
      label: day,
      done: at,
      total: rows.length,
      detail: `${current.requests} requests this week`,
    });
  }
  terminal.closeBar();
  await close(Number.POSITIVE_INFINITY);
  const rollback = await rollBackUnderLoad(terminal, client, serve, (rows[at - 1] as ReplayRow).at);
  return summarise(terminal, { lived, all, rollback, startedAt });
}

function emptyWeek(week: string): Week {
  const unknown = { auc: null, auc_never_retrained: null, log_loss: null, log_loss_never_retrained: null };
  return { week, requests: 0, labels: 0, errors: 0, alarms: [], decisions: [], ...unknown };
}

function addStep(week: Week, step: ReplayStep): void {
  week.requests += step.rows.length;
  week.labels += step.labels;
  week.errors += step.errors;
}

/** The Monday of the week that a moment lies in, as a date; 1970 began on a Thursday. */
function mondayOf(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  return new Date((day - ((day + 3) % 7)) * DAY_MS).toISOString().slice(0, 10);
}

/** What January's model says to every flight, computed here from its file, as the registry hands it out. */
async function scoreJanuary(client: HttpClient, version: string, rows: ReplayRow[]): Promise<Float64Array> {
  const { createRowCoder, createSession } = await import('../models/index.ts');
  const path = `/api/v1/models/${MODEL}/versions/${version}/model`;
  const onnx = new Uint8Array(await (await client.download(path)).arrayBuffer());
  const session = await createSession(onnx);
  const coder = createRowCoder(session.signature);
  const scores = new Float64Array(rows.length);
  try {
    for (let start = 0; start < rows.length; start += 1024) {
      const batch = rows.slice(start, start + 1024).map(({ features }) => features);
      const { probabilities = [] } = await session.run(coder.encode(batch));
      for (let i = 0; i < batch.length; i++) scores[start + i] = probabilities[2 * i + 1] as number;
    }
  } finally {
    await session.release();
  }
  return scores;
}

async function measure(scored: Scored[]) {
  const { logLoss, rocAuc } = await import('../statistics/index.ts');
  const labels = Int32Array.from(scored, ({ isLate }) => (isLate ? 1 : 0));
  const of = (score: (each: Scored) => number) => {
    const positive = Float64Array.from(scored, score);
    const both = Float64Array.from({ length: 2 * scored.length }, (_, i) =>
      i % 2 === 1 ? (positive[i >> 1] as number) : 1 - (positive[i >> 1] as number),
    );
    return { auc: rounded(rocAuc(labels, positive)), loss: rounded(logLoss(labels, both, 2)) };
  };
  if (scored.length === 0) return {};
  const loop = of((each) => each.loop);
  const never = of((each) => each.never);
  return {
    auc: loop.auc,
    auc_never_retrained: never.auc,
    log_loss: loop.loss,
    log_loss_never_retrained: never.loss,
  };
}

const rounded = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : Math.round(value * 1e4) / 1e4;

interface AlarmDocument {
  kind: string;
  column?: string;
  opened_at: number;
}
interface DecisionDocument {
  kind: 'gate' | 'shadow' | 'canary' | 'watch' | 'hand';
  outcome: string;
  version: string;
  verdict: string;
  at: number;
}
interface MoveDocument {
  action: string;
  from?: string;
  to?: string;
  at: number;
}

/** What the platform has on record for a span of time: alarms that it opened, verdicts of its gate, moves. */
async function readEvents(
  client: HttpClient,
  from: number,
  to: number,
): Promise<Pick<Week, 'alarms' | 'decisions'>> {
  const path = `/api/v1/models/${MODEL}`;
  const [{ alarms }, { decisions }, { history }] = await Promise.all([
    client.get<{ alarms: AlarmDocument[] }>(`${path}/alarms`, { limit: 500 }),
    client.get<{ decisions: DecisionDocument[] }>(`${path}/decisions`, { limit: 500 }),
    client.get<{ history: MoveDocument[] }>(path),
  ]);
  const isNow = (at: number) => at >= from && at < to;
  const day = (at: number) => new Date(at).toISOString().slice(5, 10);
  return {
    alarms: alarms
      .filter(({ opened_at }) => isNow(opened_at))
      .sort((a, b) => a.opened_at - b.opened_at)
      .map(
        ({ kind, column, opened_at }) =>
          `${day(opened_at)} ${column === undefined ? kind : `drift of ${column}`}`,
      ),
    decisions: [
      ...decisions
        .filter(({ kind }) => kind === 'gate')
        .map(({ version, verdict, at }) => ({ at, text: `v${version} ${verdict}` })),
      ...history.map(({ action, from: before, to: after, at }) => ({
        at,
        text: action === 'promote' ? `v${after} champion` : `v${before} undone`,
      })),
    ]
      .filter(({ at }) => isNow(at))
      .sort((a, b) => a.at - b.at)
      .map(({ at, text }) => `${day(at)} ${text}`),
  };
}

const COLUMNS = { week: 10, requests: 8, auc: 6, never: 6, loss: 8 };

function showWeek(terminal: Terminal, week: Week, isFirst: boolean): void {
  const { colors } = terminal;
  const cell = (value: number | null, width: number) =>
    (value === null ? '–' : value.toFixed(3)).padStart(width);
  if (isFirst) {
    const heads = ['week of', 'requests', 'errors', '  AUC', ' never', 'log loss', 'alarms and decisions'];
    terminal.line(colors.bold(`   ${heads[0]?.padEnd(COLUMNS.week)}  ${heads.slice(1).join('  ')}`));
  }
  const numbers = [
    String(week.requests).padStart(COLUMNS.requests),
    String(week.errors).padStart(6),
    cell(week.auc, 5),
    cell(week.auc_never_retrained, COLUMNS.never),
    cell(week.log_loss, COLUMNS.loss),
  ];
  const alarms = week.alarms.map((text) => colors.red(`! ${text}`));
  const events = [...alarms, ...week.decisions].join(', ');
  terminal.line(`   ${week.week.padEnd(COLUMNS.week)}  ${numbers.join('  ')}  ${events}`);
}

/** Undoes the last promotion while requests run, and says what they met. */
async function rollBackUnderLoad(terminal: Terminal, client: HttpClient, serve: HttpClient, at: number) {
  const { history } = await client.get<{ history: MoveDocument[] }>(`/api/v1/models/${MODEL}`);
  if (history.length < 2) {
    terminal.line('\nThere is nothing to undo: no other version has served yet.');
    return undefined;
  }
  terminal.line(`\n${terminal.colors.bold('One command undoes it, under load')}`);
  const stop = new AbortController();
  const body = { features: FLIGHT, timestamp: at };
  const load = measureLoad({
    url: `${serve.url}/predict`,
    body: JSON.stringify(body),
    concurrency: 16,
    durationMs: 60_000,
    signal: stop.signal,
  });
  const settle = () => new Promise((done) => setTimeout(done, 500));
  try {
    await settle();
    const startedAt = performance.now();
    const { from, to } = await client.post<{ from: string; to: string }>(`/api/v1/models/${MODEL}/rollback`, {
      reason: 'demo: to show that it is quick',
    });
    for (;;) {
      const answer = await serve.post<{ model_version: string; variant: string }>('/predict', body);
      if (answer.model_version === to) break;
    }
    const ms = Math.round(performance.now() - startedAt);
    await settle();
    stop.abort();
    const { requests, errors, p50_ms: p50, p99_ms: p99 } = await load;
    terminal.line(
      `   version ${to} answers again in the place of ${from} after ${ms} ms; meanwhile ${requests} requests, ${errors} errors, p50 ${p50} ms, p99 ${p99} ms`,
    );
    return { from, to, ms, requests, errors, p50_ms: p50, p99_ms: p99 };
  } finally {
    stop.abort();
  }
}

async function summarise(
  terminal: Terminal,
  given: {
    lived: Week[];
    all: Scored[];
    rollback: Awaited<ReturnType<typeof rollBackUnderLoad>>;
    startedAt: number;
  },
) {
  const { lived, all, rollback } = given;
  const sum = (of: (week: Week) => number) => lived.reduce((total, week) => total + of(week), 0);
  const texts = lived.flatMap(({ decisions }) => decisions);
  const count = (pattern: RegExp) => texts.filter((text) => pattern.test(text)).length;
  const mean = (of: (week: Week) => number | null) => {
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
    ...(await measure(all)),
    ...(rollback && { rollback }),
    total_ms: Math.round(performance.now() - given.startedAt),
  };
  const { colors } = terminal;
  terminal.line(
    `\n${colors.green('✓')} ${formatDuration(summary.total_ms)}: ${summary.requests} requests, ${summary.errors} errors; ${summary.alarms} alarms, ${summary.retrainings} retrainings, ${summary.promoted} promoted, ${summary.refused} refused, ${summary.undone} undone`,
  );
  terminal.line(
    `  mean AUC of the weeks ${summary.mean_weekly_auc} with the loop, ${summary.mean_weekly_auc_never_retrained} without`,
  );
  if (summary.errors > 0) throw new CliError(`${summary.errors} requests failed`);
  return summary;
}

function showWhatToTry(terminal: Terminal, { url, serveUrl }: SpawnedUp): void {
  const command = commandPrefix(terminal.io.env);
  terminal.line(`\nThe platform keeps running; stop it with ^C. In another terminal:`);
  terminal.line(`  export TIDEMILL_URL=${url}`);
  terminal.line(`  ${command} alarms ${MODEL}`);
  terminal.line(`  ${command} models ${MODEL}`);
  terminal.line(`  ${command} explain ${MODEL}`);
  terminal.line(
    `  ${command} log query "select version, count(*) as requests, count(label) as labels from predictions group by version order by version"`,
  );
  terminal.line(
    `  curl -s ${serveUrl}/predict -H 'content-type: application/json' -d '${JSON.stringify({ features: FLIGHT })}'`,
  );
}

/** Starts `up` on the usual ports, or on free ones where they are taken and none was named. */
async function startPlatform(
  terminal: Terminal,
  { dataDir, project, options }: { dataDir: string; project: string; options: DemoOptions },
): Promise<SpawnedUp> {
  const { host, port, servePort } = options;
  const args = [
    '--clock',
    'events',
    '--data',
    dataDir,
    ...(host === undefined ? [] : ['--host', host]),
    ...(port === undefined ? [] : ['--port', port]),
    ...(servePort === undefined ? [] : ['--serve-port', servePort]),
  ];
  // A day goes by in a fraction of a second.
  const env = { TIDEMILL_REPORT_MS: '50', ...terminal.io.env };
  try {
    return await spawnUp({ args, cwd: project, env });
  } catch (error) {
    if (!/in use/.test((error as Error).message) || port !== undefined || servePort !== undefined)
      throw error;
    terminal.note('port 7070 or 7071 is taken, so the demo takes free ones');
    return spawnUp({ args: [...args, '--port', '0', '--serve-port', '0'], cwd: project, env });
  }
}
