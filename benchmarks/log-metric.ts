import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * `POST runs/log-metric` over HTTP by 64 connections of wrk, SQLite with synchronous=FULL: the server with group
 * commit beside the same server with one commit a command. Measured in turns; prints one JSON line.
 *
 *   node benchmarks/log-metric.ts [rounds=3] [seconds=4] [folder=the system's for temporary files]
 */
const rounds = Number(process.argv[2] ?? 3);
const seconds = Number(process.argv[3] ?? 4);
const CONNECTIONS = 64;

interface Measured {
  perSecond: number;
  p50Ms: number;
  p99Ms: number;
  errors: number;
}

const folder = mkdtempSync(join(process.argv[4] ?? tmpdir(), 'tidemill-log-metric-'));

async function startServer(groupCommit: 'on' | 'off') {
  const args = [join(folder, groupCommit), groupCommit];
  const child = fork(join(import.meta.dirname, 'log-metric-server.ts'), args, {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  const [{ url }] = (await once(child, 'message')) as [{ url: string }];
  const response = await fetch(`${url}/api/2.0/mlflow/runs/create`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ experiment_id: '0' }),
  });
  const { run } = (await response.json()) as { run: { info: { run_id: string } } };
  const script = join(folder, `${groupCommit}.lua`);
  // Every thread and round writes points of its own: an identical point would cost less.
  writeFileSync(
    script,
    `wrk.method = 'POST'
wrk.headers['content-type'] = 'application/json'
local step = 0
local start = tonumber(string.match(tostring({}), '0x(%x+)'), 16) % 1000000
request = function()
  step = step + 1
  return wrk.format(nil, nil, nil, string.format(
    '{"run_id":"${run.info.run_id}","key":"loss_%d","value":%f,"timestamp":%d,"step":%d}',
    step % 8, 1 / step, 1795218807000 + start, step))
end
done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"perSecond":%f,"p50Ms":%f,"p99Ms":%f,"errors":%d}\\n',
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.status + e.timeout))
end
`,
  );
  return { url, child, script };
}

async function load(server: { url: string; child: ChildProcess; script: string }, forSeconds: number) {
  const url = `${server.url}/api/2.0/mlflow/runs/log-metric`;
  const args = `-t 1 -c ${CONNECTIONS} -d ${forSeconds}s -s ${server.script} ${url}`.split(' ');
  const wrk = spawn('wrk', args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  wrk.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  await once(wrk, 'close');
  const result = /RESULT (.*)/.exec(output)?.[1];
  if (result === undefined) throw new Error(`wrk said: ${output}`);
  return JSON.parse(result) as Measured;
}

const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
const rounded = (value: number, digits = 3): number => Number(value.toPrecision(digits));

/** What one commit must wait for on this disk: the more, the more a shared one saves. */
function measureSync(): number {
  const file = openSync(join(folder, 'sync'), 'w');
  const times: number[] = [];
  for (let i = 0; i < 200; i++) {
    const startedAt = performance.now();
    writeSync(file, Buffer.alloc(8192, i));
    fdatasyncSync(file);
    times.push(performance.now() - startedAt);
  }
  closeSync(file);
  return median(times);
}

const servers = { on: await startServer('on'), off: await startServer('off') };
try {
  const measured: Record<keyof typeof servers, Measured[]> = { on: [], off: [] };
  for (const name of ['on', 'off'] as const) await load(servers[name], 1);
  const syncMs = measureSync();
  for (let round = 0; round < rounds; round++) {
    const turn = round % 2 === 0 ? (['on', 'off'] as const) : (['off', 'on'] as const);
    for (const name of turn) measured[name].push(await load(servers[name], seconds));
  }
  const of = (name: keyof typeof servers, key: keyof Measured) =>
    median(measured[name].map((one) => one[key]));
  const ratios = measured.on.map((one, i) => one.perSecond / (measured.off[i]?.perSecond ?? Number.NaN));
  console.log(
    JSON.stringify({
      benchmark: 'log-metric',
      connections: CONNECTIONS,
      per_second: Math.round(of('on', 'perSecond')),
      one_commit_each_per_second: Math.round(of('off', 'perSecond')),
      ratio: rounded(median(ratios)),
      ratios: ratios.map((ratio) => rounded(ratio)),
      p50_ms: rounded(of('on', 'p50Ms')),
      p99_ms: rounded(of('on', 'p99Ms')),
      one_commit_each_p50_ms: rounded(of('off', 'p50Ms')),
      sync_ms: rounded(syncMs),
      errors: [...measured.on, ...measured.off].reduce((sum, { errors }) => sum + errors, 0),
      target: 'ratio >= 8',
    }),
  );
} finally {
  for (const { child } of Object.values(servers)) child.disconnect();
  await Promise.all(Object.values(servers).map(({ child }) => once(child, 'exit')));
  rmSync(folder, { recursive: true, force: true });
}
