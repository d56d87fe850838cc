import { appendFileSync } from 'node:fs';
import { createJobs } from '../../src/jobs/index.ts';
import { openDatabase, systemClock } from '../../src/platform/index.ts';
import { silentLogger } from './silent-logger.ts';

/**
 * A child process for tests: `node jobs-until-killed.ts <database url> <folder> <crash point> <step>` works on jobs
 * until it kills itself at the crash point of the step, or, without one, until the run `only` is over.
 *
 * Each step has an effect in a store of its own, the file `effects`: one line for a key, as a verb with an idempotency
 * key would have it. `calls` counts how often the step was called.
 */
const [url = '', folder = '', point = '', step = ''] = process.argv.slice(2);
const database = await openDatabase({
  url,
  commandsModule: new URL('../../src/commands.ts', import.meta.url),
  logger: silentLogger,
});

const { existsSync, readFileSync } = await import('node:fs');
const effects = `${folder}/effects`;

function actOnce(key: string): void {
  const known = existsSync(effects) ? readFileSync(effects, 'utf8').split('\n') : [];
  if (!known.includes(key)) appendFileSync(effects, `${key}\n`);
}

const jobs = createJobs({
  database,
  clock: systemClock,
  logger: silentLogger,
  pollMs: 50,
  leaseMs: 1000,
  flows: {
    retrain: async (flow) => {
      for (const name of ['ingest', 'train', 'deliver']) {
        await flow.step(name, {}, async ({ key }) => {
          appendFileSync(`${folder}/calls`, `${key}\n`);
          actOnce(key);
        });
      }
      return 'done';
    },
  },
  crash: (at, key) => {
    if (at === point && key.endsWith(`/${step}`)) process.kill(process.pid, 'SIGKILL');
  },
});
await jobs.begin();
const { runId } = await jobs.start({
  flow: 'retrain',
  subject: 'm',
  key: 'only',
  trigger: { kind: 'hand' },
  actor: 'ada',
});
for (;;) {
  const woken = jobs.changes.wait(100);
  const run = await jobs.get(runId);
  if (run.status === 'succeeded' || run.status === 'failed') {
    console.log(
      JSON.stringify({ status: run.status, output: run.output, steps: await jobs.store.steps(runId) }),
    );
    break;
  }
  await woken;
}
await jobs.stop();
await database.close();
