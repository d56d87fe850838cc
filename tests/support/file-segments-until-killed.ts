import { join } from 'node:path';
import { createLocalArtifactStore } from '../../src/artifacts/index.ts';
import { createPredictionLog, type PredictionLogDeps } from '../../src/monitoring/index.ts';
import { openDatabase, systemClock } from '../../src/platform/index.ts';
import { silentLogger } from './silent-logger.ts';

/**
 * A child process of a test: takes segments of predictions for ever, files them after every third, and names each on standard
 * output once it is taken. It kills itself at the `at`th time that the filing passes `step`.
 */
const [folder, url, step, at, first] = process.argv.slice(2) as [string, string, string, string, string];
const database = await openDatabase({
  url,
  commandsModule: new URL('../../src/commands.ts', import.meta.url),
  logger: silentLogger,
});
let passed = 0;
const onStep: PredictionLogDeps['onStep'] = (name) => {
  if (name === step && ++passed === Number(at)) process.kill(process.pid, 'SIGKILL');
};
const log = createPredictionLog({
  database,
  artifacts: createLocalArtifactStore({ root: join(folder, 'artifacts') }),
  clock: systemClock,
  logger: silentLogger,
  workFolder: join(folder, 'log'),
  modelOf: async () => undefined,
  retentionMs: 0,
  graceMs: -1,
  filing: { segments: 1_000_000, sizeBytes: 2 ** 40, waitMs: 1_000_000_000 },
  onStep,
});
for (let sequence = Number(first); ; sequence++) {
  const lines = Array.from({ length: 10 }, (_, i) => ({
    id: `row-${sequence}-${i}`,
    t: Date.UTC(2001, 3, 1) + sequence * 60_000,
    at: 0,
    m: 'flights',
    v: '1',
    var: 'champion',
    ms: 1,
    f: { sequence },
    p: 'yes',
  }));
  const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
  const body = (async function* () {
    yield bytes;
  })();
  await log.takeSegment({ kind: 'predictions', replica: 'a', incarnation: 'i', sequence }, body);
  process.stdout.write(`${sequence}\n`);
  if (sequence % 3 === 2) await log.compact();
}
