import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRandom } from '../../src/platform/index.ts';
import { killRounds } from './kill-rounds.ts';
import { prepareIris } from './prepare-iris.ts';

// npm run fault [-- ROUNDS [SEED]]: prints one JSON line and fails when anything acknowledged is lost, when an answer
// came that no kill explains, and when too little was acknowledged to tell.
const rounds = Number(process.argv[2] ?? 50);
const seed = Number(process.argv[3] ?? Date.now() % 1_000_000);
const dataDir = mkdtempSync(join(tmpdir(), 'tidemill-fault-'));

try {
  process.stderr.write(`seed ${seed}\n`);
  await prepareIris(dataDir, { versions: 3 });
  const report = await killRounds({
    dataDir,
    rounds,
    random: createRandom(seed),
    onRound: (round, { acknowledged, lost, unexpected }) => {
      const { runs, promotions, predictions } = acknowledged;
      process.stderr.write(
        `round ${round}/${rounds}: ${runs} runs, ${promotions} promotions, ${predictions} predictions acknowledged; ${lost.length} lost, ${unexpected.length} unexpected\n`,
      );
    },
  });
  process.stdout.write(`${JSON.stringify({ fault: 'kill-9', seed, ...report })}\n`);
  process.exitCode = report.lost.length + report.unexpected.length === 0 ? 0 : 1;
} finally {
  rmSync(dataDir, { recursive: true, force: true });
}
