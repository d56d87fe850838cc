import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../src/platform/index.ts';
import { prepareIris } from './prepare-iris.ts';
import { swapUnderLoad } from './swap-under-load.ts';

// npm run swaps [-- SWAPS [SEED]]: prints one JSON line and fails when a request failed, when a version did not come to
// serve, and when the load made too few requests to tell.
const VERSIONS = 5;
const swaps = Number(process.argv[2] ?? 100);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const dataDir = mkdtempSync(join(tmpdir(), 'tidemill-swaps-'));

try {
  process.stderr.write(`seed ${seed}\n`);
  await prepareIris(dataDir, { versions: VERSIONS });
  const report = await swapUnderLoad({
    dataDir,
    swaps,
    versions: VERSIONS,
    random: createRandom(seed),
    onSwap: (swap) => {
      if (swap % 10 === 0) process.stderr.write(`${swap}/${swaps}\n`);
    },
  });
  process.stdout.write(`${JSON.stringify({ fault: 'swaps', seed, ...report })}\n`);
  process.exitCode = report.problems.length === 0 ? 0 : 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
