import { type ChildProcess, fork } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { findPackageJSON } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { Act } from './act.ts';
import { CliError } from './cli-error.ts';
import { commandPrefix } from './command-prefix.ts';
import { addDataset } from './datasets.ts';
import { createHttpClient, type HttpClient } from './http-client.ts';
import { interruption, whenAborted } from './interruption.ts';
import { type LoadResult, measureLoad } from './measure-load.ts';
import { withExamples } from './options.ts';
import { promote } from './promote.ts';
import { showMetrics } from './show-training.ts';
import { formatDuration, type Io, type Terminal } from './terminal.ts';
import { trainModel } from './train.ts';

interface DemoOptions {
  data?: string;
  flights?: string;
  exit?: boolean;
}

/** A plane that leaves Chicago for Atlanta on a Thursday evening. */
const FLIGHT = { date: '2001-03-15T17:45:00Z', distance: 606, origin: 'ORD', destination: 'ATL' };

export function configureDemo(command: Command, act: Act): void {
  command
    .option('--data <dir>', 'data folder (default: a temporary one, removed at the end)')
    .option('--flights <file>', 'another table with the columns date, delay, distance, origin, destination')
    .option('--exit', 'stop the platform at the end instead of leaving it running')
    .action(
      act(async (terminal, options: DemoOptions) => {
        const signal = interruption(terminal.io);
        const flights = findFlights(options, terminal.io);
        const dataDir =
          options.data === undefined
            ? await makeDemoFolder(tmpdir())
            : resolve(terminal.io.cwd, options.data);
        const platform = await startPlatform(terminal, dataDir);
        try {
          const numbers = await Promise.race([
            runDemo(terminal, platform, flights),
            whenAborted(signal).then(() => {
              throw new CliError('interrupted', { exit: 'interrupted' });
            }),
          ]);
          terminal.document({
            url: platform.url,
            serve_url: platform.serveUrl,
            data_dir: dataDir,
            ...numbers,
          });
          if (!options.exit) {
            terminal.line();
            terminal.line(`The platform keeps running; stop it with ^C. In another terminal:`);
            terminal.line(`  export TIDEMILL_URL=${platform.url}`);
            terminal.line(`  ${commandPrefix(terminal.io.env)} models flights`);
            terminal.line(
              `  curl -s ${platform.serveUrl}/predict -H 'content-type: application/json' -d '${JSON.stringify({ features: FLIGHT })}'`,
            );
            await Promise.race([whenAborted(signal), platform.exited]);
          }
        } finally {
          await platform.stop();
          if (options.data === undefined) await rm(dataDir, { recursive: true, force: true });
        }
      }),
    );
  withExamples(command, [
    ['tidemill demo', 'leaves the platform running'],
    ['tidemill demo --exit --json', 'the numbers as one JSON document'],
  ]);
}

const FOLDER_PREFIX = 'tidemill-demo-';
const PID_FILE = 'demo.pid';

/** A folder of this process's own; what demos left that were killed is removed first. */
export async function makeDemoFolder(parent: string): Promise<string> {
  for (const entry of await readdir(parent)) {
    if (!entry.startsWith(FOLDER_PREFIX)) continue;
    const folder = join(parent, entry);
    const text = await readFile(join(folder, PID_FILE), 'utf8').catch(() => '');
    // Without the file it is not known whose it is, so it stays.
    if (/^[1-9]\d*$/.test(text) && !isAlive(Number(text))) {
      await rm(folder, { recursive: true, force: true }).catch(() => {});
    }
  }
  const folder = await mkdtemp(join(parent, FOLDER_PREFIX));
  await writeFile(join(folder, PID_FILE), String(process.pid));
  return folder;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

interface DemoPlatform {
  url: string;
  serveUrl: string;
  exited: Promise<void>;
  stop(): Promise<void>;
}

/** The steps: ingest, train, promote, predict, train again, swap and roll back under load. */
async function runDemo(terminal: Terminal, { url, serveUrl }: DemoPlatform, flights: string) {
  const { colors } = terminal;
  const startedAt = performance.now();
  const client = createHttpClient({ url, remedy: 'the demo started it' });
  const serve = createHttpClient({ url: serveUrl, remedy: 'the demo started it' });
  const step = async <T>(title: string, work: () => Promise<T>): Promise<{ result: T; ms: number }> => {
    terminal.line(`\n${colors.bold(title)}`);
    const from = performance.now();
    const result = await work();
    return { result, ms: performance.now() - from };
  };

  const ingested = await step('1. Ingest the flights as a versioned dataset', () =>
    addDataset(terminal, client, 'flights', flights),
  );
  const { rows, digest, version } = ingested.result;
  terminal.line(
    `   flights@${version}: ${rows} rows in ${formatDuration(ingested.ms)}, ${digest.slice(0, 19)}…`,
  );

  const trainFlights = (trees: number) =>
    trainModel(terminal, client, undefined, {
      data: `flights@${version}`,
      target: 'delay > 15',
      name: 'flights',
      algorithm: 'gradient-boosting',
      set: { trees },
      testShare: 0.2,
      seed: 1,
    });
  const first = await step(
    '2. Train: will the plane, now leaving the gate, arrive more than 15 minutes late?',
    () => trainFlights(40),
  );
  terminal.line(
    `   version ${first.result.version} after ${formatDuration(first.ms)}, on rows that it has not seen:`,
  );
  showMetrics(terminal, first.result.model.metrics);

  const live = await step('3. Promote it, and ask the model server', async () => {
    const promotion = await promote(client, 'flights', first.result.version, { reason: 'demo: first model' });
    const answer = await askUntil(serve, promotion.to);
    return { promotion, answer };
  });
  terminal.line(`   live after ${formatDuration(live.ms)}`);
  terminal.line(`   POST ${serveUrl}/predict ${JSON.stringify({ features: FLIGHT })}`);
  terminal.line(`   ${JSON.stringify(live.result.answer)}`);

  const second = await step('4. Train a larger model on the same version of the data', () =>
    trainFlights(80),
  );
  terminal.line(`   version ${second.result.version} after ${formatDuration(second.ms)}`);

  const swap = await step('5. Swap it in while 32 connections ask, if it is not worse', () =>
    underLoad(serveUrl, async () => {
      const promotion = await promote(client, 'flights', second.result.version, {
        reason: 'demo: larger model',
      });
      await askUntil(serve, promotion.to);
      return promotion;
    }),
  );
  terminal.line(`   ${swap.result.value.decision.verdict}: ${swap.result.value.decision.summary}`);
  showLoad(terminal, swap.result.load);

  const undo = await step('6. Roll back, again under load', () =>
    underLoad(serveUrl, async () => {
      const answer = await client.post<{ to: string }>('/api/v1/models/flights/rollback', {
        reason: 'demo: undo',
      });
      await askUntil(serve, answer.to);
      return answer;
    }),
  );
  terminal.line(`   version ${undo.result.value.to} serves again`);
  showLoad(terminal, undo.result.load);

  const totalMs = performance.now() - startedAt;
  const errors = swap.result.load.errors + undo.result.load.errors;
  terminal.line(`\n${colors.green('✓')} done in ${formatDuration(totalMs)}, ${errors} failed requests`);
  if (errors > 0) throw new CliError(`${errors} requests failed during a swap`);
  return {
    rows,
    ingest_ms: Math.round(ingested.ms),
    trainings: [first, second].map(({ result, ms }) => ({
      version: result.version,
      ms: Math.round(ms),
      metrics: result.model.metrics,
    })),
    prediction: live.result.answer,
    swap: { ...swap.result.load, verdict: swap.result.value.decision.verdict, ms: Math.round(swap.ms) },
    rollback: { ...undo.result.load, ms: Math.round(undo.ms) },
    total_ms: Math.round(totalMs),
  };
}

function showLoad(terminal: Terminal, load: LoadResult): void {
  terminal.line(
    `   meanwhile ${load.requests} predictions, ${load.requests_per_second} a second, p50 ${load.p50_ms} ms, p99 ${load.p99_ms} ms, ${load.errors} failed`,
  );
}

/** Does the work while requests run, from half a second before it to half a second after it. */
async function underLoad<T>(
  serveUrl: string,
  work: () => Promise<T>,
): Promise<{ value: T; load: LoadResult }> {
  const stop = new AbortController();
  const load = measureLoad({
    url: `${serveUrl}/predict`,
    body: JSON.stringify({ features: FLIGHT }),
    concurrency: 32,
    durationMs: 120_000,
    signal: stop.signal,
  });
  const settle = () => new Promise((done) => setTimeout(done, 500));
  try {
    await settle();
    const value = await work();
    await settle();
    stop.abort();
    return { value, load: await load };
  } finally {
    stop.abort();
  }
}

/** Asks until the given version answers; the first answer of it. */
async function askUntil(serve: HttpClient, version: string): Promise<Record<string, unknown>> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const { status, body } = await serve
      .request<Record<string, unknown>>('POST', '/predict', { body: { features: FLIGHT } })
      .then((answer) => ({ status: 200, body: answer }))
      .catch((error: unknown) => ({
        status: 0,
        body: { message: String(error) } as Record<string, unknown>,
      }));
    if (status === 200 && body['model_version'] === version) return body;
    if (performance.now() > deadline) {
      throw new CliError(`the model server does not answer with version ${version}: ${JSON.stringify(body)}`);
    }
    await new Promise((again) => setTimeout(again, 20));
  }
}

/** The table of the demo: the one named, or the one in the development dependency. */
export function findFlights({ flights }: { flights?: string }, io: Io): string {
  if (flights !== undefined) return resolve(io.cwd, flights);
  let manifest: string | undefined;
  try {
    manifest = findPackageJSON('vega-datasets', import.meta.url);
  } catch {
    // Not installed: said below.
  }
  const file = manifest && join(dirname(manifest), 'data/flights-3m.parquet');
  if (file !== undefined && existsSync(file)) return file;
  throw new CliError(
    'the flights are not here: they come with the npm package vega-datasets, a development dependency of the repository; run `npm ci && npx tidemill demo` in a clone, or `npm install vega-datasets@3.2.1`, or name a table by --flights',
  );
}

/**
 * Starts `up` as a process of its own, so that the training of the demo does not hold the server up; on the usual
 * ports, or on free ones where they are taken.
 */
async function startPlatform(terminal: Terminal, dataDir: string): Promise<DemoPlatform> {
  try {
    return await startUp(terminal, dataDir, []);
  } catch (error) {
    if (!/in use/.test((error as Error).message)) throw error;
    terminal.note('port 7070 or 7071 is taken, so the demo takes free ones');
    return startUp(terminal, dataDir, ['--port', '0', '--serve-port', '0']);
  }
}

function startUp(terminal: Terminal, dataDir: string, ports: string[]): Promise<DemoPlatform> {
  const entry = new URL(`./main${import.meta.url.slice(-3)}`, import.meta.url);
  const child: ChildProcess = fork(entry, ['up', '--json', '--data', dataDir, ...ports], {
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    env: { ...terminal.io.env, TIDEMILL_LOG_LEVEL: terminal.io.env['TIDEMILL_LOG_LEVEL'] ?? 'warn' },
  });
  let stderr = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-4000);
  });
  const exited = new Promise<void>((done) => child.once('exit', () => done()));
  return new Promise((resolveStart, reject) => {
    createInterface({ input: child.stdout as NodeJS.ReadableStream }).once('line', (line) => {
      const { url, serve_url } = JSON.parse(line) as { url: string; serve_url: string };
      resolveStart({
        url,
        serveUrl: serve_url,
        exited,
        async stop() {
          child.kill('SIGTERM');
          await exited;
        },
      });
    });
    void exited.then(() => reject(new CliError(`the platform did not start: ${lastError(stderr)}`)));
  });
}

function lastError(stderr: string): string {
  for (const line of stderr.trim().split('\n').reverse()) {
    try {
      const { message } = JSON.parse(line) as { message?: string };
      if (message) return message;
    } catch {
      // Not a line of ours.
    }
  }
  return stderr.trim();
}
