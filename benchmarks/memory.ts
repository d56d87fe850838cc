import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { buildRelease } from '../scripts/build-release.ts';
import { prepareIris } from '../tests/fault/prepare-iris.ts';
import { spawnPlatform } from '../tests/support/spawn-platform.ts';

// Memory of `tidemill up` (release build) that has nothing to do and one model: the proportional set size of the whole
// process tree, as Linux counts it. Prints one JSON line.
const idleMs = Number(process.argv[2] ?? 15_000);
const root = fileURLToPath(new URL('..', import.meta.url));
const outDir = mkdtempSync(join(root, '.cache-bench-'));
const work = mkdtempSync(join(tmpdir(), 'tidemill-bench-'));

try {
  await buildRelease({ outDir });
  const dataDir = join(work, 'data');
  await prepareIris(dataDir, { versions: 1 });
  const platform = await spawnPlatform({ dataDir, bin: join(outDir, 'bin/tidemill.js') });
  await pause(idleMs);
  const processes = processTree(platform.child.pid as number).map((pid) => ({
    pid,
    command: readFileSync(`/proc/${pid}/cmdline`, 'utf8')
      .split('\0')
      .slice(1, 3)
      .join(' ')
      .replaceAll(outDir, ''),
    pss_mb: Math.round(pssKilobytes(pid) / 102.4) / 10,
  }));
  await platform.stop();
  const total = processes.reduce((sum, { pss_mb }) => sum + pss_mb, 0);
  const result = {
    benchmark: 'memory',
    pss_mb: Math.round(total * 10) / 10,
    processes,
    target: 'below 250 MB',
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
} finally {
  rmSync(outDir, { recursive: true, force: true });
  rmSync(work, { recursive: true, force: true });
}

function processTree(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  return [
    pid,
    ...(children === '' ? [] : children.split(/\s+/)).flatMap((child) => processTree(Number(child))),
  ];
}

function pssKilobytes(pid: number): number {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
  return Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1]);
}
