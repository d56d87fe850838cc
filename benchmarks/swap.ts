import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startModelServerFromOptions } from '../src/start-model-server.ts';
import { createDesiredSource } from '../tests/support/desired-source.ts';
import { forestModel } from '../tests/support/served-models.ts';

/**
 * Latency of a small model's requests while a 32 MB forest is swapped beside it, again and again. Three processes:
 * this one stands for the control plane, one is the model server, one sends requests at a steady rate; a request's
 * time counts from when it was due, so that a blocked server is not asked less. Prints one JSON line.
 *
 *   node benchmarks/swap.ts [swaps=6] [requests per second=1000]
 */
const FEATURES = 20;
const [part, ...args] =
  process.send === undefined ? ['measure', ...process.argv.slice(2)] : process.argv.slice(2);

if (part === 'measure') await measure(Number(args[0] ?? 6), Number(args[1] ?? 1000));
else if (part === 'serve') await serve(args[0] as string, args[1] as string);
else await sendLoad(args[0] as string, Number(args[1]));

async function measure(swaps: number, ratePerSecond: number): Promise<void> {
  // 2500 trees of depth 8 make a file of 33 MB; each version has trees of its own.
  const forests = [1, 2, 3].map((seed) => forestModel({ trees: 2500, depth: 8, features: FEATURES, seed }));
  const source = createDesiredSource();
  const versions = forests.map((bytes, i) => source.version(String(i + 1), bytes));
  const smallBytes = forestModel({ trees: 100, depth: 6, features: FEATURES });
  const small = { name: 'small', champion: source.version('1', smallBytes) };
  const controlPlane = createServer((asked, answer) => {
    const { pathname } = new URL(asked.url as string, 'http://localhost');
    const [, name, version] = /models\/(.*)\/versions\/(.*)\/model$/.exec(pathname) ?? [];
    if (name !== undefined) return answer.end(name === 'small' ? smallBytes : forests[Number(version) - 1]);
    const known = asked.headers['if-none-match']?.replaceAll('"', '');
    const stop = new AbortController();
    answer.on('close', () => stop.abort());
    source.resolveDesiredState(known, stop.signal).then(
      (state) => answer.end(JSON.stringify(state)),
      () => answer.destroy(),
    );
  });
  controlPlane.listen(0, '127.0.0.1');
  await once(controlPlane, 'listening');
  const cacheDir = mkdtempSync(join(tmpdir(), 'tidemill-swap-'));
  const children: ChildProcess[] = [];

  function start(...with_: string[]): ChildProcess {
    const child = fork(import.meta.filename, with_, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    children.push(child);
    return child;
  }

  try {
    source.desire([small, { name: 'forest', champion: versions[0]! }]);
    const server = start(
      'serve',
      `http://127.0.0.1:${(controlPlane.address() as AddressInfo).port}`,
      cacheDir,
    );
    const [{ url }] = (await once(server, 'message')) as [{ url: string }];
    const load = start('load', url, String(ratePerSecond));
    await once(load, 'message');
    await pause(3000);
    const quiet = await tellOf(load);
    const rssBefore = rssOf(server);
    const swapMs: number[] = [];
    for (let swap = 1; swap <= swaps; swap++) {
      const [champion, previous] = [versions[swap % 3]!, versions[(swap + 2) % 3]!];
      const started = performance.now();
      source.desire([small, { name: 'forest', champion, previous }]);
      while ((await versionOf(url)) !== champion.version) await pause(50);
      swapMs.push(performance.now() - started);
    }
    const during = await tellOf(load);
    console.log(
      JSON.stringify({
        benchmark: 'swap',
        model_bytes: forests[0]?.byteLength,
        swaps,
        swap_ms: Math.round(swapMs.toSorted((a, b) => a - b)[swapMs.length >> 1] ?? 0),
        rate_per_second: ratePerSecond,
        requests: during.count,
        p50_ms: during.p50,
        p99_ms: during.p99,
        max_ms: during.max,
        quiet_p99_ms: quiet.p99,
        quiet_max_ms: quiet.max,
        errors: during.errors + quiet.errors,
        rss_mb_one_forest: rssBefore,
        rss_mb_after: rssOf(server),
        target: 'p99_ms < 20, errors 0',
      }),
    );
  } finally {
    for (const child of children) child.kill('SIGKILL');
    controlPlane.closeAllConnections();
    controlPlane.close();
    rmSync(cacheDir, { recursive: true, force: true });
  }
}

interface Latencies {
  count: number;
  p50: number;
  p99: number;
  max: number;
  errors: number;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The latencies since it was last asked. */
async function tellOf(load: ChildProcess): Promise<Latencies> {
  load.send('tell');
  const [told] = (await once(load, 'message')) as [Latencies];
  return told;
}

async function versionOf(url: string): Promise<string> {
  const answer = (await (await fetch(`${url}/models/forest`)).json()) as { version: string };
  return answer.version;
}

function rssOf({ pid }: ChildProcess): number | undefined {
  if (process.platform !== 'linux') return undefined;
  const kilobytes = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  return Math.round(Number(kilobytes) / 1000);
}

/** In a child: the model server as `tidemill serve` starts it. */
async function serve(controlPlaneUrl: string, cacheDir: string): Promise<void> {
  process.on('disconnect', () => process.exit());
  const server = await startModelServerFromOptions({
    controlPlaneUrl,
    cacheDir,
    host: '127.0.0.1',
    port: 0,
    env: { TIDEMILL_LOG_LEVEL: 'warn' },
    version: '0.0.0',
  });
  await server.ready;
  process.send?.({ url: server.url });
}

/** In a child: asks for predictions at a steady rate, and tells how long they took. */
async function sendLoad(url: string, ratePerSecond: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const target = new URL('/models/small/predict', url);
  const body = JSON.stringify({ features: Array.from({ length: FEATURES }, (_, i) => i / FEATURES) });
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  let times: number[] = [];
  let errors = 0;

  function ask(due: number): void {
    const sent = request(target, { method: 'POST', agent, headers }, (answer) => {
      if (answer.statusCode !== 200) errors += 1;
      answer.resume();
      answer.on('end', () => times.push(performance.now() - due));
    });
    sent.on('error', () => {
      errors += 1;
    });
    sent.end(body);
  }

  process.on('message', () => {
    const sorted = times.toSorted((a, b) => a - b);
    const at = (share: number) => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2));
    process.send?.({ count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1 - 1e-9), errors });
    times = [];
  });
  process.on('disconnect', () => process.exit());

  let isTold = false;
  for (let due = performance.now(); ; await pause(1)) {
    for (const now = performance.now(); due <= now; due += 1000 / ratePerSecond) ask(due);
    if (isTold || times.length < 500) continue;
    // Warm from here on.
    times = [];
    isTold = true;
    process.send?.('started');
  }
}
