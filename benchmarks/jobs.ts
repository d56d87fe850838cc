import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createJobs, createStepWorkers } from '../src/jobs/index.ts';
import { createLogger, openDatabase, systemClock } from '../src/platform/index.ts';

// What a durable run costs beside its work: from a start to its first step, seven steps that do nothing, and a task of
// a warm step process. DATABASE_URL takes another database than a new SQLite file. Prints one JSON line.
const RUNS = Number(process.argv[2] ?? 50);
const STEPS = ['ingest', 'validate', 'features', 'train', 'evaluate', 'register', 'deliver'];

const folder = mkdtempSync(join(tmpdir(), 'tidemill-jobs-'));
const logger = createLogger({ level: 'error', name: 'benchmark' });
const database = await openDatabase({
  url: process.env['DATABASE_URL'] ?? `sqlite:${join(folder, 'tidemill.db')}`,
  commandsModule: new URL('../src/commands.ts', import.meta.url),
  logger,
});

let atFirstStep = (_now: number): void => {};
const jobs = createJobs({
  database,
  clock: systemClock,
  logger,
  flows: {
    retrain: async (flow) => {
      for (const name of STEPS) {
        await flow.step(name, {}, async () => {
          if (name === STEPS[0]) atFirstStep(performance.now());
          return { name };
        });
      }
    },
  },
});
await jobs.begin();

const starts: number[] = [];
const runs: number[] = [];
for (let i = 0; i < RUNS; i++) {
  const begun = new Promise<number>((resolve) => {
    atFirstStep = resolve;
  });
  const from = performance.now();
  const { runId } = await jobs.start({
    flow: 'retrain',
    subject: 'flights',
    key: `${process.pid}-${i}`,
    trigger: { kind: 'hand' },
    actor: 'benchmark',
  });
  starts.push((await begun) - from);
  for (;;) {
    const woken = jobs.changes.wait(1000);
    if ((await jobs.get(runId)).status === 'succeeded') break;
    await woken;
  }
  runs.push(performance.now() - from);
}
await jobs.stop();
await database.close();

const workers = createStepWorkers({
  entry: new URL('../tests/support/step-process.ts', import.meta.url),
  size: 1,
  logger,
});
const coldFrom = performance.now();
await workers.run({ name: 'pid', input: null });
const coldMs = performance.now() - coldFrom;
const tasks: number[] = [];
for (let i = 0; i < RUNS; i++) {
  const from = performance.now();
  await workers.run({ name: 'pid', input: null });
  tasks.push(performance.now() - from);
}
await workers.stop();
rmSync(folder, { recursive: true, force: true });

function summarise(times: number[]) {
  const sorted = times.toSorted((a, b) => a - b);
  const at = (share: number) => Number((sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2));
  return { median_ms: at(0.5), p90_ms: at(0.9), worst_ms: at(0.999) };
}
console.log(
  JSON.stringify({
    benchmark: 'jobs',
    database: database.dialect,
    runs: RUNS,
    start_to_first_step: summarise(starts),
    seven_steps: summarise(runs),
    step_process: { first_task_ms: Number(coldMs.toFixed(1)), warm_task: summarise(tasks) },
  }),
);
