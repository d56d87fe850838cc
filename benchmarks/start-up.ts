import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildRelease } from '../scripts/build-release.ts';
import { prepareIris } from '../tests/fault/prepare-iris.ts';
import { spawnPlatform } from '../tests/support/spawn-platform.ts';

// How long `tidemill up` of the release build takes on a folder that has a model, from spawn until both servers are
// ready with the model warm, beside a bare Node process with Fastify and one route. Prints one JSON line.
const rounds = Number(process.argv[2] ?? 9);
const root = fileURLToPath(new URL('..', import.meta.url));
// Inside the repository, so that the release finds the installed packages.
const outDir = mkdtempSync(join(root, '.cache-bench-'));
const work = mkdtempSync(join(tmpdir(), 'tidemill-bench-'));

try {
  await buildRelease({ outDir });
  const bin = join(outDir, 'bin/tidemill.js');
  const dataDir = join(work, 'data');
  await prepareIris(dataDir, { versions: 1 });
  const bare = join(outDir, 'bare.mjs');
  writeFileSync(
    bare,
    `import fastify from 'fastify';
     const app = fastify();
     app.get('/ready', () => ({ status: 'ready' }));
     await app.listen({ port: 0, host: '127.0.0.1' });
     console.log(app.server.address().port);`,
  );

  const ours: number[] = [];
  const theirs: number[] = [];
  // The first round fills the compile cache and the file cache, and does not count.
  for (let round = 0; round <= rounds; round += 1) {
    const [a, b] = [await timePlatform(bin, dataDir), await timeBare(bare)];
    if (round === 0) continue;
    ours.push(a);
    theirs.push(b);
  }
  const result = {
    benchmark: 'start-up',
    rounds,
    up_ms: median(ours),
    bare_fastify_ms: median(theirs),
    ratio: Number((median(ours) / median(theirs)).toFixed(2)),
    target: 'ratio below 3',
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  rmSync(outDir, { recursive: true, force: true });
  rmSync(work, { recursive: true, force: true });
}

async function timePlatform(bin: string, dataDir: string): Promise<number> {
  const startedAt = performance.now();
  const platform = await spawnPlatform({ dataDir, bin });
  await Promise.all([isReady(platform.url), isReady(platform.serveUrl)]);
  const took = performance.now() - startedAt;
  await platform.stop();
  return took;
}

async function timeBare(script: string): Promise<number> {
  const startedAt = performance.now();
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<string>((resolve) =>
    child.stdout.once('data', (data) => resolve(String(data).trim())),
  );
  await isReady(`http://127.0.0.1:${port}`);
  const took = performance.now() - startedAt;
  const exited = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await exited;
  return took;
}

async function isReady(url: string): Promise<void> {
  const response = await fetch(`${url}/ready`);
  if (response.status !== 200) throw new Error(`${url}/ready answered ${response.status}`);
}

function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return Math.round(sorted[Math.floor(sorted.length / 2)] ?? Number.NaN);
}
