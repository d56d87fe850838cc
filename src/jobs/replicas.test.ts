import { afterEach, describe, expect, inject, it } from 'vitest';
import { createPostgresDatabase, fixedClock, silentLogger } from '../../tests/support/index.ts';
import { runStatement } from '../../tests/support/start-postgres.ts';
import { ApiError, type Database, openDatabase } from '../platform/index.ts';
import { createJobs, type Flow, type Jobs, type JobsDeps } from './index.ts';

const cleanUps: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const cleanUp of cleanUps.splice(0).reverse()) await cleanUp();
});

const server = inject('postgresServer');
const template = 'problem' in server ? undefined : server.template;

/** Several control planes on one PostgreSQL, each with connections of its own. */
async function startReplicas(count: number) {
  const { url, drop } = await createPostgresDatabase(template);
  cleanUps.push(drop);
  const open = async (): Promise<Database> => {
    const database = await openDatabase({
      url,
      commandsModule: new URL('../commands.ts', import.meta.url),
      logger: silentLogger,
      poolSize: 4,
    });
    cleanUps.push(() => database.close());
    return database;
  };
  const databases = await Promise.all(Array.from({ length: count }, open));
  return {
    databases,
    statement: (text: string) => runStatement(url, text),
    jobsOn: (replica: number, flows: Record<string, Flow>, more: Partial<JobsDeps> = {}): Jobs => {
      const jobs = createJobs({
        database: databases[replica] as Database,
        clock: fixedClock(),
        logger: silentLogger,
        flows,
        pollMs: 20,
        graceMs: 100,
        ...more,
      });
      cleanUps.push(() => jobs.stop());
      return jobs;
    },
  };
}

const request = (key: string, flow = 'retrain') => ({
  flow,
  subject: 'm',
  key,
  trigger: { kind: 'cron' },
  actor: 'system',
});

async function until(jobs: Jobs, runId: string, ...statuses: string[]) {
  for (;;) {
    const woken = jobs.changes.wait(20);
    const run = await jobs.get(runId);
    if (statuses.includes(run.status)) return run;
    await woken;
  }
}

describe.skipIf(template === undefined)('replicas on one PostgreSQL', () => {
  it('share the runs: each step of each run is done once, by one of them', async () => {
    const { jobsOn } = await startReplicas(3);
    const done: string[] = [];
    const workers = new Set<number>();
    const flowOf =
      (replica: number): Flow =>
      async (flow) => {
        for (const name of ['ingest', 'train', 'deliver']) {
          await flow.step(name, {}, async ({ key }) => {
            done.push(key);
            workers.add(replica);
            await new Promise(setImmediate);
          });
        }
      };
    const replicas = [0, 1, 2].map((i) => jobsOn(i, { retrain: flowOf(i) }, { maxRuns: 2 }));
    await Promise.all(replicas.map((jobs) => jobs.begin()));
    const keys = Array.from({ length: 30 }, (_, i) => `k${i}`);
    // Every replica starts every one: a schedule fires on all of them.
    const started = await Promise.all(
      keys.flatMap((key) => replicas.map((jobs) => jobs.start(request(key)))),
    );
    expect(started.filter(({ isNew }) => isNew)).toHaveLength(30);
    for (const { runId } of started) await until(replicas[0] as Jobs, runId, 'succeeded', 'failed');
    expect(done).toHaveLength(90);
    expect(new Set(done).size).toBe(90);
    expect(workers.size).toBeGreaterThan(1);
    await expect.poll(() => replicas.map((jobs) => jobs.activeCount())).toEqual([0, 0, 0]);
  });

  /** A step that hangs until it is let go, and says when it was begun and aborted. */
  function hangingFlow() {
    const gate = Promise.withResolvers<string>();
    const begun = Promise.withResolvers<AbortSignal>();
    let calls = 0;
    const flow: Flow = (context) =>
      context.step('train', {}, async ({ signal }) => {
        calls++;
        begun.resolve(signal);
        return gate.promise;
      });
    return { flow, begun: begun.promise, letGo: gate.resolve, calls: () => calls };
  }

  it('leave a run that takes longer than a lease to its holder, wherever the clocks of the processes stand', async () => {
    const { jobsOn, databases } = await startReplicas(2);
    const { flow, letGo, calls, begun } = hangingFlow();
    const clock = fixedClock();
    const holder = jobsOn(0, { retrain: flow }, { leaseMs: 400, clock });
    const other = jobsOn(1, { retrain: flow }, { leaseMs: 400, clock: fixedClock(Date.UTC(2046, 0, 1)) });
    await holder.begin();
    const { runId } = await holder.start(request('long'));
    await begun;
    await other.begin();
    const reader = databases[1]?.reader as Database['reader'];
    const ends = new Set<number>();
    await expect
      .poll(async () => {
        clock.advance(ends.size % 2 === 0 ? 86_400_000 : -86_400_000);
        const row = await reader.selectFrom('job_runs').select('lease_until').executeTakeFirstOrThrow();
        return ends.add(row['lease_until'] as number).size;
      })
      .toBeGreaterThan(8); // Renewals, each a third of a lease after the one before.
    letGo('done');
    expect(await until(other, runId, 'succeeded', 'failed')).toMatchObject({ status: 'succeeded' });
    expect(calls()).toBe(1);
  });

  it('take over from one that is heard of no more, and refuse what it still has to say', async () => {
    const { jobsOn, statement } = await startReplicas(2);
    const stale = hangingFlow();
    const holder = jobsOn(0, { retrain: stale.flow }, { leaseMs: 3_600_000, pollMs: 3_600_000 });
    await holder.begin();
    const { runId } = await holder.start(request('lost'));
    const signal = await stale.begun;
    const other = jobsOn(1, { retrain: (flow) => flow.step('train', {}, async () => 'fresh') });
    await other.begin();
    expect((await other.get(runId)).status).toBe('running');
    await statement('update job_runs set lease_until = lease_until - 3600001'); // The server's clock jumps.
    expect(await until(other, runId, 'succeeded', 'failed')).toMatchObject({ output: 'fresh' });
    stale.letGo('stale');
    await expect.poll(() => signal.aborted).toBe(true);
    await expect.poll(() => holder.activeCount()).toBe(0);
    const [step] = await other.store.steps(runId);
    expect(step).toMatchObject({
      result: 'fresh',
      attempts: [{ outcome: 'interrupted' }, { outcome: 'succeeded' }],
    });
  });

  it('heed a cancellation that another one took', async () => {
    const { jobsOn } = await startReplicas(2);
    const { flow, begun } = hangingFlow();
    const holder = jobsOn(0, { retrain: flow });
    const other = jobsOn(1, { retrain: flow });
    await holder.begin();
    const { runId } = await holder.start(request('unwanted'));
    const signal = await begun;
    await other.cancel(runId, { actor: 'grace' });
    await expect.poll(() => signal.aborted).toBe(true);
    await expect.poll(() => holder.activeCount()).toBe(0);
    expect((await holder.get(runId)).status).toBe('cancelled');
  });

  it('go on with what another one approved or started', async () => {
    const { jobsOn } = await startReplicas(2);
    const asks: Flow = async (flow) => (await flow.approval('ok', { question: '?' })).by;
    const worker = jobsOn(0, { asks });
    const desk = jobsOn(1, { asks }); // It only takes requests.
    await worker.begin();
    const { runId } = await desk.start(request('k', 'asks'));
    await until(desk, runId, 'waiting');
    await desk.approve(runId, 'ok', { approved: true, actor: 'grace' });
    expect(await until(desk, runId, 'succeeded')).toMatchObject({ output: 'grace' });
    expect(desk.activeCount()).toBe(0);
  });

  it('forget what another one took while they could not ask', async () => {
    const { jobsOn, databases } = await startReplicas(2);
    const flows: Record<string, Flow> = { retrain: async () => 'done' };
    const database = databases[0] as Database;
    const execute = database.execute.bind(database);
    let isAway = true;
    database.execute = (command, input) =>
      isAway && command.name === 'job.claim'
        ? Promise.reject(new ApiError('TEMPORARILY_UNAVAILABLE', 'The server is away'))
        : execute(command, input);
    const first = jobsOn(0, flows);
    await expect(first.begin()).rejects.toThrow('away');
    const { runId } = await first.start(request('k'));
    expect(first.activeCount()).toBe(1);
    const second = jobsOn(1, flows);
    await second.begin();
    await until(second, runId, 'succeeded');
    isAway = false;
    await first.tick();
    expect(first.activeCount()).toBe(0);
  });

  it('record a result although the database was away when it came', async () => {
    const { jobsOn, databases, statement } = await startReplicas(1);
    const { flow, begun, letGo, calls } = hangingFlow();
    const jobs = jobsOn(0, { retrain: flow });
    await jobs.begin();
    const { runId } = await jobs.start(request('patient'));
    await begun;
    const database = databases[0] as Database;
    const execute = database.execute.bind(database);
    let refused = 0;
    database.execute = (command, input) => {
      if (command.name !== 'job.endStep' || refused >= 3) return execute(command, input);
      refused++;
      // What really happens to its connections: they are cut.
      return statement(
        'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()',
      ).then(() => Promise.reject(new ApiError('TEMPORARILY_UNAVAILABLE', 'The server is away')));
    };
    letGo('done');
    expect(await until(jobs, runId, 'succeeded', 'failed')).toMatchObject({
      status: 'succeeded',
      output: 'done',
    });
    expect(refused).toBe(3);
    expect(calls()).toBe(1);
  });
});
