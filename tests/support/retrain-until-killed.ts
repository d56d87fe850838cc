import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocalArtifactStore } from '../../src/artifacts/index.ts';
import { createDelivery } from '../../src/delivery/index.ts';
import { createJobs, createStepWorkers } from '../../src/jobs/index.ts';
import { createPipelines, loadProject, STEP_PROCESS } from '../../src/pipelines/index.ts';
import { openDatabase, systemClock } from '../../src/platform/index.ts';
import { createModelFiles, createServingSignal } from '../../src/registry/index.ts';
import { silentLogger } from './silent-logger.ts';

/**
 * A child process for tests: `node retrain-until-killed.ts <database url> <folder> <crash point> <step>` applies the
 * project in the folder, trains its first version, and retrains it under the key `only`, until it kills itself at the
 * crash point of that retraining's step, or, without one, until it is over. The labelled rows of its log are `labelled.parquet`.
 */
const [url = '', folder = '', point = '', step = ''] = process.argv.slice(2);
const database = await openDatabase({
  url,
  commandsModule: new URL('../../src/commands.ts', import.meta.url),
  logger: silentLogger,
});
const artifacts = createLocalArtifactStore({ root: join(folder, 'artifacts') });
const files = createModelFiles({ artifacts });
const common = { database, artifacts, clock: systemClock, logger: silentLogger, files };
const delivery = createDelivery({
  ...common,
  moved: createServingSignal(),
  policyOf: (name) => pipelines.policyOf(name),
});
const workers = createStepWorkers({ entry: STEP_PROCESS, size: 1, logger: silentLogger });
const day = (text: string) => Date.parse(`${text}T00:00:00Z`);
const pipelines = createPipelines({
  ...common,
  jobs: () => jobs,
  delivery,
  openAlarms: async () => [],
  windows: async () => [],
  log: {
    async exportLabelled({ outPath, from = 0 }) {
      if (from === 0) throw new Error('A window has a start');
      if (!isSecond) return { rows: 0, digest: 'sha256:none' };
      await copyFile(join(folder, 'labelled.parquet'), outPath);
      return { rows: 400, digest: 'sha256:labelled', from: day('2026-01-11'), to: day('2026-01-21') };
    },
    counts: async () => ({ labelled: 400 }),
  },
  runner: workers,
  workFolder: join(folder, 'work'),
  codeVersion: 'test',
});
let isSecond = false;
const jobs = createJobs({
  database,
  clock: systemClock,
  logger: silentLogger,
  flows: pipelines.flows,
  pollMs: 50,
  leaseMs: 1000,
  crash: (at, key) => {
    if (isSecond && at === point && key.endsWith(`/${step}`)) process.kill(process.pid, 'SIGKILL');
  },
});

async function waitFor(runId: string) {
  for (;;) {
    const woken = jobs.changes.wait(100);
    const run = await jobs.get(runId);
    if (run.status === 'succeeded' || run.status === 'failed') return run;
    await woken;
  }
}

const loaded = await loadProject(folder, { door: new URL('../../src/index.ts', import.meta.url) });
if (loaded === undefined) throw new Error(`${folder} has no project`);
await pipelines.applyProject(loaded);
if ((await jobs.list({ flow: 'retrain' })).some(({ key }) => key.endsWith('/hand/only'))) isSecond = true;
await jobs.begin();
await pipelines.advance();
const [first] = (await jobs.list({ flow: 'retrain' })).toReversed();
if (first === undefined) throw new Error('No first version was asked for');
await waitFor(first.runId);
isSecond = true;
const asked = await pipelines.ask({ model: 'm', kind: 'hand', reason: undefined, actor: 'ann', key: 'only' });
const run = await waitFor(asked.runId as string);
const steps = await jobs.store.steps(run.runId);
console.log(JSON.stringify({ status: run.status, output: run.output, error: run.error, steps }));
await jobs.stop();
await workers.stop();
delivery.close();
await database.close();
