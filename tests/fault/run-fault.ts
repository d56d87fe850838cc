import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { killRounds } from './kill-rounds.ts';
import { prepareIris } from './prepare-iris.ts';

// npm run fault [-- ROUNDS [SEED]]: prints one JSON line and fails when anything acknowledged is lost.
const rounds = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const dataDir = mkdtempSync(join(tmpdir(), 'tidemill-fault-'));
let state = seed >>> 0;
const random = () => {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return state / 4_294_967_296;
};

try {
  await prepareIris(dataDir);
  const report = await killRounds({
    dataDir,
    rounds,
    random,
    onRound: (round, { acknowledgedRuns, losses }) => {
      process.stderr.write(
        `round ${round}/${rounds}: ${acknowledgedRuns} runs acknowledged, ${losses.length} losses\n`,
      );
    },
  });
  process.stdout.write(`${JSON.stringify({ fault: 'kill-9', seed, ...report })}\n`);
  process.exitCode = report.losses.length === 0 ? 0 : 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
