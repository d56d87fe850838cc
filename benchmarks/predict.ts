import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `POST /predict` of 100 boosted trees of depth 6 on 20 features, everything on, one process, 64 connections by wrk,
 * against a bare node:http server that parses and re-serialises the same JSON, and against itself without prediction
 * log and profile. They are measured in turns, each server on one core and wrk on the other, where the log is shipped
 * to too; medians are printed as one JSON line.
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
  const child = fork(entry, [which, sinkUrl], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
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

/** Takes what is shipped, and keeps nothing. */
const sink = createServer((request, response) => {
  request.resume().on('end', () => response.end('{}'));
});
await once(sink.listen(0, '127.0.0.1'), 'listening');
const sinkUrl = `http://127.0.0.1:${(sink.address() as AddressInfo).port}`;
const NAMES = ['bare', 'tidemill', 'unrecorded'] as const;
type Name = (typeof NAMES)[number];
const servers = {
  bare: await startServer('bare'),
  tidemill: await startServer('tidemill'),
  unrecorded: await startServer('unrecorded'),
};
try {
  const measured: Record<Name, Measured[]> = { bare: [], tidemill: [], unrecorded: [] };
  for (const name of NAMES) await load(servers[name], 2);
  for (let round = 0; round < rounds; round++) {
    const turn = NAMES.map((_, i) => NAMES[(i + round) % NAMES.length] as Name);
    for (const name of turn) measured[name].push(await load(servers[name], seconds));
  }
  const of = (name: Name, key: keyof Measured) => median(measured[name].map((one) => one[key]));
  const ratiosTo = (other: Name) =>
    measured.tidemill.map((one, i) => one.perSecond / (measured[other][i]?.perSecond ?? Number.NaN));
  const ratios = ratiosTo('bare');
  console.log(
    JSON.stringify({
      benchmark: 'predict',
      connections: CONNECTIONS,
      per_second: Math.round(of('tidemill', 'perSecond')),
      bare_per_second: Math.round(of('bare', 'perSecond')),
      unrecorded_per_second: Math.round(of('unrecorded', 'perSecond')),
      ratio: rounded(median(ratios)),
      ratios: ratios.map((ratio) => rounded(ratio)),
      ratio_to_unrecorded: rounded(median(ratiosTo('unrecorded'))),
      p50_ms: rounded(of('tidemill', 'p50Ms')),
      p99_ms: rounded(of('tidemill', 'p99Ms')),
      bare_p99_ms: rounded(of('bare', 'p99Ms')),
      cpu_micros: rounded(of('tidemill', 'cpuMicros')),
      bare_cpu_micros: rounded(of('bare', 'cpuMicros')),
      unrecorded_cpu_micros: rounded(of('unrecorded', 'cpuMicros')),
      errors: measured.tidemill.reduce((sum, { errors }) => sum + errors, 0),
      target: 'ratio >= 0.65, ratio_to_unrecorded >= 0.8',
    }),
  );
} finally {
  for (const { child } of Object.values(servers)) child.kill();
  sink.close();
  rmSync(folder, { recursive: true, force: true });
}
