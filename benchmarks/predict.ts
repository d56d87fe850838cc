import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `POST /predict` of 100 boosted trees of depth 6 on 20 features, everything on, one process, 64 connections by wrk,
 * against a bare node:http server that parses and re-serialises the same JSON. The two are measured in turns, each
 * server on one core and wrk on the other; medians are printed as one JSON line.
 *
 *   node benchmarks/predict.ts [rounds=5] [seconds=4]
 */
const rounds = Number(process.argv[2] ?? 5);
const seconds = Number(process.argv[3] ?? 4);
const CONNECTIONS = 64;

interface Measured {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  errors: number;
  /** CPU time of the server, user and system, for each request; tells more than req/s on a busy machine. */
  cpuMicros: number;
}

const folder = mkdtempSync(join(tmpdir(), 'tidemill-wrk-'));
const script = join(folder, 'predict.lua');
const features = Object.fromEntries(
  Array.from({ length: 20 }, (_, i) => [`feature_${i}`, (i * 7 + 3) / 143]),
);
writeFileSync(
  script,
  `wrk.method = 'POST'
wrk.body = '${JSON.stringify({ features })}'
wrk.headers['content-type'] = 'application/json'
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"perSecond":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests, summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`,
);

const onCore = (core: number, command: string[]): string[] =>
  process.platform === 'linux' ? ['taskset', '-c', String(core), ...command] : command;

async function startServer(which: string): Promise<{ url: string; child: ChildProcess }> {
  const entry = join(import.meta.dirname, 'predict-servers.ts');
  const child = fork(entry, [which], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  if (process.platform === 'linux') {
    await once(spawn('taskset', ['-a', '-p', '-c', '0', String(child.pid)], { stdio: 'ignore' }), 'exit');
  }
  return { url, child };
}

/** CPU time that a process has used, in microseconds. */
function cpuOf(pid: number | undefined): number {
  if (process.platform !== 'linux') return Number.NaN;
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10_000;
}

async function load(
  { url, child }: { url: string; child: ChildProcess },
  forSeconds: number,
): Promise<Measured> {
  const cpuBefore = cpuOf(child.pid);
  const [command = '', ...args] = onCore(
    1,
    `wrk -t 1 -c ${CONNECTIONS} -d ${forSeconds}s -s ${script} ${url}/predict`.split(' '),
  );
  const wrk = spawn(command, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  wrk.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(wrk, 'close');
  const result = /RESULT (.*)/.exec(output)?.[1];
  if (result === undefined) throw new Error(`wrk said: ${output}`);
  const measured = JSON.parse(result) as Measured & { requests: number };
  return { ...measured, cpuMicros: (cpuOf(child.pid) - cpuBefore) / measured.requests };
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const rounded = (value: number, digits = 3): number => Number(value.toPrecision(digits));

const servers = { bare: await startServer('bare'), ours: await startServer('tidemill') };
try {
  const measured: Record<keyof typeof servers, Measured[]> = { bare: [], ours: [] };
  for (const name of ['bare', 'ours'] as const) await load(servers[name], 2);
  for (let round = 0; round < rounds; round++) {
    const turn = round % 2 === 0 ? (['bare', 'ours'] as const) : (['ours', 'bare'] as const);
    for (const name of turn) measured[name].push(await load(servers[name], seconds));
  }
  const of = (name: keyof typeof servers, key: keyof Measured) =>
    median(measured[name].map((one) => one[key]));
  const ratios = measured.ours.map((one, i) => one.perSecond / (measured.bare[i]?.perSecond ?? Number.NaN));
  console.log(
    JSON.stringify({
      benchmark: 'predict',
      connections: CONNECTIONS,
      per_second: Math.round(of('ours', 'perSecond')),
      bare_per_second: Math.round(of('bare', 'perSecond')),
      ratio: rounded(median(ratios)),
      ratios: ratios.map((ratio) => rounded(ratio)),
      p50_ms: rounded(of('ours', 'p50Ms')),
      p99_ms: rounded(of('ours', 'p99Ms')),
      bare_p99_ms: rounded(of('bare', 'p99Ms')),
      cpu_micros: rounded(of('ours', 'cpuMicros')),
      bare_cpu_micros: rounded(of('bare', 'cpuMicros')),
      errors: measured.ours.reduce((sum, { errors }) => sum + errors, 0),
      target: 'ratio >= 0.8',
    }),
  );
} finally {
  for (const { child } of Object.values(servers)) child.kill();
  rmSync(folder, { recursive: true, force: true });
}
