import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../src/platform/index.ts';
import { undoBadCanary } from './bad-canary.ts';
import { killLoop } from './kill-loop.ts';

// npm run fault:loop [-- KILLS [RUNS [SEED]]]: lives through the flights of the demo while processes are killed, and lets
// a version in that was trained on shuffled labels; prints a JSON line for each, and fails when anything is lost.
const kills = Number(process.argv[2] ?? 100);
const runs = Number(process.argv[3] ?? 4);
const seed = Number(process.argv[4] ?? Date.now() % 1_000_000);
const random = createRandom(seed);
process.stderr.write(`seed ${seed}\n`);
let failures = 0;

for (let run = 1; run <= runs; run += 1) {
  const folder = mkdtempSync(join(tmpdir(), 'tidemill-loop-fault-'));
  try {
    const report = await killLoop({
      folder,
      kills: Math.ceil(kills / runs),
      maxDays: 60,
      random,
      onDay: ({ days, kills: made, acknowledged }) =>
        process.stderr.write(
          `run ${run}/${runs}, day ${days}: ${JSON.stringify(made)}, ${acknowledged.predictions} predictions and ${acknowledged.labels} labels acknowledged\n`,
        ),
    });
    process.stdout.write(`${JSON.stringify({ fault: 'kill-9 of the loop', run, ...report })}\n`);
    failures += report.lost.length;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

const folder = mkdtempSync(join(tmpdir(), 'tidemill-bad-canary-'));
try {
  const report = await undoBadCanary({ folder, maxDays: 12, random });
  process.stdout.write(`${JSON.stringify({ fault: 'a canary of shuffled labels', ...report })}\n`);
  if (report.state !== 'undone') failures += 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = failures === 0 ? 0 : 1;
