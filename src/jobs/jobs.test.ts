import { afterEach, describe, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger, tamperWith } from '../../tests/support/index.ts';
import { ApiError, createAuditStore, type Database, type Logger } from '../platform/index.ts';
import { createJobs, type Flow, type FlowContext, type Jobs, type JobsDeps } from './index.ts';

const started: Jobs[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((jobs) => jobs.stop()));
});

function jobsOn(
  database: Database,
  flows: Record<string, (flow: FlowContext) => Promise<unknown>>,
  more: Partial<JobsDeps> = {},
): Jobs {
  const jobs = createJobs({
    database,
    clock: fixedClock(),
    logger: silentLogger,
    flows: flows as Record<string, Flow>,
    pollMs: 50,
    graceMs: 200,
    ...more,
  });
  started.push(jobs);
  return jobs;
}

const byHand = { kind: 'hand' };

async function start(jobs: Jobs, flow: string, key = 'first', input: unknown = {}): Promise<string> {
  const { runId } = await jobs.start({ flow, subject: 'flights', input, key, trigger: byHand, actor: 'ada' });
  return runId;
}

/** Waits until the run is in one of these states. */
async function until(jobs: Jobs, runId: string, ...statuses: string[]) {
  for (;;) {
    const woken = jobs.changes.wait(50);
    const run = await jobs.get(runId);
    if (statuses.includes(run.status)) return run;
    await woken;
  }
}

const over = ['succeeded', 'failed', 'cancelled'];

describeDatabases('jobs', (openDatabase, dialect) => {
  it('runs the steps of a flow in order and keeps what they answered', async () => {
    const jobs = jobsOn(await openDatabase(), {
      retrain: async (flow) => {
        const rows = await flow.step('ingest', {}, async (step) => {
          step.log('reading\nrows');
          step.progress(0.5, 'half');
          return { rows: 3, at: new Date(0) };
        });
        return flow.step('train', {}, async (step) => ({ ...rows, key: step.key, attempt: step.attempt }));
      },
    });
    await jobs.begin();
    const runId = await start(jobs, 'retrain');
    const run = await until(jobs, runId, ...over);
    expect(run).toMatchObject({ status: 'succeeded', subject: 'flights', actor: 'ada', trigger: byHand });
    expect(run.output).toEqual({
      rows: 3,
      at: '1970-01-01T00:00:00.000Z',
      key: `${runId}/train`,
      attempt: 1,
    });
    const steps = await jobs.store.steps(runId);
    expect(
      steps.map(({ step, status, progress, progressNote }) => ({ step, status, progress, progressNote })),
    ).toEqual([
      { step: 'ingest', status: 'succeeded', progress: 0.5, progressNote: 'half' },
      { step: 'train', status: 'succeeded', progress: undefined, progressNote: undefined },
    ]);
    expect(await jobs.store.log(runId, 0, 10)).toMatchObject([
      { line: 1, step: 'ingest', attempt: 1, text: 'reading' },
      { line: 2, step: 'ingest', attempt: 1, text: 'rows' },
    ]);
    expect(jobs.activeCount()).toBe(0);
  });

  it('starts one run for a key, and names it before it has begun', async () => {
    const database = await openDatabase();
    let runs = 0;
    const jobs = jobsOn(database, { retrain: async () => ++runs });
    await jobs.begin();
    const request = {
      flow: 'retrain',
      subject: 'm',
      key: 'monday',
      trigger: { kind: 'cron', detail: { at: 7 } },
      actor: 'system',
    };
    const answers = await Promise.all(Array.from({ length: 5 }, () => jobs.start(request)));
    expect(answers.filter(({ isNew }) => isNew)).toHaveLength(1);
    expect(new Set(answers.map(({ runId }) => runId)).size).toBe(1);
    await until(jobs, answers[0]?.runId as string, ...over);
    expect(await jobs.start(request)).toEqual({ runId: answers[0]?.runId, isNew: false });
    expect(runs).toBe(1);
    await expect(jobs.start({ ...request, flow: 'retrian' })).rejects.toThrow("did you mean 'retrain'");
    const audit = await createAuditStore(database.reader).list({ subject: `jobs/${answers[0]?.runId}` });
    expect(audit).toMatchObject([
      {
        actor: 'system',
        action: 'job.start',
        evidence: { flow: 'retrain', trigger: 'cron', detail: { at: 7 } },
      },
    ]);
  });

  it('tries a step again with its own key, and tells of each attempt', async () => {
    const keys: string[] = [];
    const jobs = jobsOn(await openDatabase(), {
      flaky: (flow) =>
        flow.step('call', { retries: 2, backoffMs: 1 }, async ({ key, attempt }) => {
          keys.push(key);
          if (attempt < 3) throw new Error(`no luck ${attempt}`);
          return attempt;
        }),
    });
    await jobs.begin();
    const runId = await start(jobs, 'flaky');
    expect((await until(jobs, runId, ...over)).output).toBe(3);
    expect(new Set(keys)).toEqual(new Set([`${runId}/call`]));
    const [step] = await jobs.store.steps(runId);
    expect(step?.attempts).toMatchObject([
      { attempt: 1, outcome: 'failed', error: { message: 'no luck 1' } },
      { attempt: 2, outcome: 'failed', error: { message: 'no luck 2' } },
      { attempt: 3, outcome: 'succeeded' },
    ]);
    expect((await jobs.store.log(runId, 0, 10)).map(({ text }) => text)).toEqual([
      'attempt 1 failed: no luck 1',
      'attempt 2 failed: no luck 2',
    ]);
  });

  it('fails a run with the code and the step of what went wrong, and does not repeat what is wrong with the input', async () => {
    let calls = 0;
    const jobs = jobsOn(await openDatabase(), {
      bad: (flow) =>
        flow.step('validate', { retries: 5, backoffMs: 1 }, async () => {
          calls++;
          throw new ApiError('INVALID_PARAMETER_VALUE', 'the target is text\u0000');
        }),
    });
    await jobs.begin();
    const run = await until(jobs, await start(jobs, 'bad'), ...over);
    expect(run).toMatchObject({
      status: 'failed',
      failedStep: 'validate',
      error: { code: 'INVALID_PARAMETER_VALUE', message: 'the target is text\uFFFD' },
    });
    expect(calls).toBe(1);
  });

  it('lets a flow deal with a step that failed', async () => {
    const jobs = jobsOn(await openDatabase(), {
      careful: async (flow) => {
        const best = await flow
          .step('risky', {}, () => Promise.reject(new Error('no')))
          .catch(() => 'fallback');
        return flow.step('use', {}, async () => best);
      },
    });
    await jobs.begin();
    expect(await until(jobs, await start(jobs, 'careful'), ...over)).toMatchObject({
      status: 'succeeded',
      output: 'fallback',
    });
  });

  it('outlives a step that fails before its flow looks at it', async () => {
    const jobs = jobsOn(await openDatabase(), {
      careless: async (flow) => {
        const early = flow.step('early', {}, () => Promise.reject(new Error('at once')));
        await flow.step('slow', {}, () => new Promise((resolve) => setTimeout(resolve, 20)));
        return early;
      },
      forgetful: async (flow) => {
        void flow.step('forgotten', {}, () => Promise.reject(new Error('nobody looks')));
        return flow.step('last', {}, () => new Promise((resolve) => setTimeout(resolve, 20, 'done')));
      },
    });
    await jobs.begin();
    const careless = await until(jobs, await start(jobs, 'careless'), ...over);
    expect(careless).toMatchObject({ status: 'failed', failedStep: 'early', error: { message: 'at once' } });
    const forgetful = await until(jobs, await start(jobs, 'forgetful'), ...over);
    expect(forgetful).toMatchObject({ status: 'succeeded', output: 'done' });
  });

  it('aborts what is still under way when a run fails, and nothing that has ended', async () => {
    const signals = new Map<string, AbortSignal>();
    const jobs = jobsOn(await openDatabase(), {
      fork: async (flow) => {
        await flow.step('ended', {}, async ({ signal }) => void signals.set('ended', signal));
        await Promise.all([
          flow.step('hangs', {}, ({ signal }) => new Promise(() => signals.set('hangs', signal))),
          flow.step('fails', {}, () => Promise.reject(new Error('no'))),
        ]);
      },
      fine: (flow) => flow.step('fine', {}, async ({ signal }) => void signals.set('fine', signal)),
    });
    await jobs.begin();
    const runId = await start(jobs, 'fork');
    expect(await until(jobs, runId, ...over)).toMatchObject({ status: 'failed', failedStep: 'fails' });
    expect(signals.get('hangs')?.aborted).toBe(true);
    const statuses = (await jobs.store.steps(runId)).map(({ step, status }) => [step, status]);
    expect(Object.fromEntries(statuses)).toEqual({ ended: 'succeeded', hangs: 'cancelled', fails: 'failed' });
    await until(jobs, await start(jobs, 'fine'), ...over);
    expect(signals.get('fine')?.aborted).toBe(false);
  });

  it('ends an attempt that takes too long, heeding or not', async () => {
    const jobs = jobsOn(await openDatabase(), {
      slow: (flow) => flow.step('hang', { timeoutMs: 20 }, () => new Promise(() => {})),
    });
    await jobs.begin();
    const run = await until(jobs, await start(jobs, 'slow'), ...over);
    expect(run.error).toEqual({
      code: 'TEMPORARILY_UNAVAILABLE',
      message: "The step 'hang' took longer than 20 ms",
    });
  });

  it('cancels at once: the step is aborted and nothing of it is recorded later', async () => {
    const database = await openDatabase();
    const begun = Promise.withResolvers<AbortSignal>();
    const late = Promise.withResolvers<void>();
    const jobs = jobsOn(database, {
      long: async (flow) => {
        await flow.step('work', {}, async ({ signal }) => {
          begun.resolve(signal);
          await late.promise; // Heeds nothing.
          return 'too late';
        });
        return flow.step('after', {}, async () => 'never');
      },
    });
    await jobs.begin();
    const runId = await start(jobs, 'long');
    const signal = await begun.promise;
    const run = await jobs.cancel(runId, { actor: 'grace', reason: 'wrong data' });
    expect(run).toMatchObject({ status: 'cancelled', error: { message: 'Cancelled by grace: wrong data' } });
    expect(signal.aborted).toBe(true);
    expect(jobs.activeCount()).toBe(0);
    late.resolve();
    await jobs.stop();
    expect((await jobs.store.steps(runId)).map(({ step, status }) => [step, status])).toEqual([
      ['work', 'cancelled'],
    ]);
    expect((await jobs.get(runId)).status).toBe('cancelled');
    await jobs.cancel(runId, { actor: 'grace' });
    const audit = await createAuditStore(database.reader).list({ subject: `jobs/${runId}` });
    expect(audit.map(({ action, actor, reason }) => ({ action, actor, reason }))).toEqual([
      { action: 'job.cancel', actor: 'grace', reason: 'wrong data' },
      { action: 'job.start', actor: 'ada', reason: undefined },
    ]);
  });

  it('goes on at the failed step when it is tried again; what succeeded is not done again', async () => {
    const done: string[] = [];
    let isBroken = true;
    const jobs = jobsOn(await openDatabase(), {
      retrain: async (flow) => {
        for (const name of ['ingest', 'train', 'register']) {
          await flow.step(name, {}, async () => {
            done.push(name);
            if (name === 'train' && isBroken) throw new Error('out of memory');
          });
        }
      },
    });
    await jobs.begin();
    const runId = await start(jobs, 'retrain');
    await until(jobs, runId, 'failed');
    isBroken = false;
    await jobs.retry(runId, { actor: 'ada' });
    expect(await until(jobs, runId, 'succeeded')).toMatchObject({ error: undefined, failedStep: undefined });
    expect(done).toEqual(['ingest', 'train', 'train', 'register']);
    await expect(jobs.retry(runId, { actor: 'ada' })).rejects.toMatchObject({ code: 'RESOURCE_CONFLICT' });
  });

  it('sleeps by its own clock, counts as inactive meanwhile, and goes on when the clock is told', async () => {
    const clock = fixedClock();
    const due = clock.now() + 86_400_000;
    let begun = 0;
    const jobs = jobsOn(
      await openDatabase(),
      {
        nap: async (flow) => {
          begun++;
          await flow.step('before', {}, async () => 1);
          await flow.sleepUntil('night', due);
          return flow.step('after', {}, async () => clock.now());
        },
      },
      { clock, pollMs: 3_600_000 },
    );
    await jobs.begin();
    const runId = await start(jobs, 'nap');
    expect(await until(jobs, runId, 'waiting')).toMatchObject({ waitingFor: 'night', wakeAt: due });
    await expect.poll(() => jobs.activeCount()).toBe(0);
    clock.advance(86_399_999);
    await jobs.tick();
    expect((await jobs.get(runId)).status).toBe('waiting');
    clock.advance(1);
    await jobs.tick();
    expect((await until(jobs, runId, ...over)).output).toBe(due);
    expect(begun).toBe(2);
  });

  it('does not sleep for a time that has passed', async () => {
    const jobs = jobsOn(await openDatabase(), {
      nap: async (flow) => {
        await flow.sleepUntil('past', 5);
        return 'awake';
      },
    });
    await jobs.begin();
    expect((await until(jobs, await start(jobs, 'nap'), ...over)).output).toBe('awake');
  });

  describe('approvals', () => {
    const asking: Flow = async (flow) => {
      const { approved, by, reason } = await flow.approval('release', {
        question: 'Release version 3?',
        deciders: ['ada', 'grace'],
        forbidSelf: true,
      });
      if (!approved) throw new Error(`${by} rejected it: ${reason}`);
      return by;
    };

    it('waits for whoever may decide, and tells who, when and why', async () => {
      const jobs = jobsOn(await openDatabase(), { asking });
      await jobs.begin();
      const runId = await start(jobs, 'asking');
      expect(await until(jobs, runId, 'waiting')).toMatchObject({ waitingFor: 'release' });
      const decide = (actor: string, approved = true) =>
        jobs.approve(runId, 'release', { actor, approved, reason: 'seen' });
      await expect(decide('mallory')).rejects.toThrow("mallory may not decide 'release': ada, grace may");
      await expect(decide('ada')).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
      await expect(jobs.approve(runId, 'relaese', { actor: 'grace', approved: true })).rejects.toThrow(
        "it waits for 'release'",
      );
      await decide('grace');
      expect((await until(jobs, runId, ...over)).output).toBe('grace');
      const [step] = await jobs.store.steps(runId);
      expect(step?.approval).toMatchObject({
        question: 'Release version 3?',
        approved: true,
        by: 'grace',
        reason: 'seen',
        at: expect.any(Number),
      });
      await decide('grace');
      await expect(decide('grace', false)).rejects.toThrow('was approved already, by grace');
    });

    it('asks again after a rejection that somebody wants to try again', async () => {
      const jobs = jobsOn(await openDatabase(), { asking });
      await jobs.begin();
      const runId = await start(jobs, 'asking');
      await until(jobs, runId, 'waiting');
      await jobs.approve(runId, 'release', { actor: 'grace', approved: false, reason: 'too soon' });
      expect((await until(jobs, runId, ...over)).error?.message).toBe('grace rejected it: too soon');
      await jobs.retry(runId, { actor: 'ada' });
      await until(jobs, runId, 'waiting');
      await jobs.approve(runId, 'release', { actor: 'grace', approved: true });
      await until(jobs, runId, 'succeeded');
    });
  });

  it('works on branches side by side, and waits only when nothing else is left to do', async () => {
    const jobs = jobsOn(await openDatabase(), {
      fork: async (flow) => {
        const [a, b] = await Promise.all([
          flow.approval('ok', { question: '?' }),
          (async () => {
            await flow.step('one', {}, async () => 1);
            return flow.step('two', {}, async () => 2);
          })(),
        ]);
        return [a.by, b];
      },
    });
    await jobs.begin();
    const runId = await start(jobs, 'fork');
    await until(jobs, runId, 'waiting');
    expect((await jobs.store.steps(runId)).map(({ step, status }) => `${step} ${status}`).sort()).toEqual([
      'ok waiting',
      'one succeeded',
      'two succeeded',
    ]);
    await jobs.approve(runId, 'ok', { actor: 'grace', approved: true });
    expect((await until(jobs, runId, ...over)).output).toEqual(['grace', 2]);
  });

  it('goes on after a stop at the step that it was in, and counts the cut-off attempt as none that failed', async () => {
    const database = await openDatabase();
    const done: string[] = [];
    const inTrain = Promise.withResolvers<void>();
    const flowOf =
      (hang: boolean): Flow =>
      async (flow) => {
        await flow.step('ingest', {}, async () => void done.push('ingest'));
        return flow.step('train', {}, async ({ signal, attempt }) => {
          if (!hang) return attempt;
          inTrain.resolve();
          return new Promise((_, reject) =>
            signal.addEventListener('abort', () => reject(signal.reason as Error)),
          );
        });
      };
    const first = jobsOn(database, { retrain: flowOf(true) });
    await first.begin();
    const runId = await start(first, 'retrain');
    await inTrain.promise;
    await first.stop();
    expect((await first.get(runId)).status).toBe('pending');
    const second = jobsOn(database, { retrain: flowOf(false) });
    await second.begin();
    expect((await until(second, runId, ...over)).output).toBe(2);
    expect(done).toEqual(['ingest']);
    const steps = await second.store.steps(runId);
    expect(steps[1]?.attempts.map(({ outcome }) => outcome)).toEqual(['interrupted', 'succeeded']);
  });

  it('refuses every write of a holder whose run was taken over', async () => {
    const database = await openDatabase();
    const gate = Promise.withResolvers<void>();
    const entered = Promise.withResolvers<AbortSignal>();
    const stale: Flow = async (flow) => {
      await flow.step('train', {}, async ({ signal }) => {
        entered.resolve(signal);
        await gate.promise;
        return 'stale';
      });
      return 'stale';
    };
    const first = jobsOn(database, { retrain: stale }, { pollMs: 3_600_000, leaseMs: 1 });
    await first.begin();
    const runId = await start(first, 'retrain');
    const signal = await entered.promise;
    // SQLite: a new process has the file, so the old one is dead; PostgreSQL: the lease has lapsed.
    const second = jobsOn(database, { retrain: (flow) => flow.step('train', {}, async () => 'fresh') });
    await second.begin();
    await until(second, runId, ...over);
    gate.resolve();
    await expect.poll(() => signal.aborted).toBe(true);
    expect(await second.get(runId)).toMatchObject({ status: 'succeeded', output: 'fresh' });
    expect((await second.store.steps(runId))[0]).toMatchObject({
      result: 'fresh',
      attempts: [{ outcome: 'interrupted' }, { outcome: 'succeeded' }],
    });
  });

  it('runs no more at a time than it may, and all in the end', async () => {
    let running = 0;
    let most = 0;
    const jobs = jobsOn(
      await openDatabase(),
      {
        one: (flow) =>
          flow.step('work', {}, async () => {
            most = Math.max(most, ++running);
            await new Promise(setImmediate);
            running--;
          }),
      },
      { maxRuns: 2, pollMs: 3_600_000 },
    );
    await jobs.begin();
    const ids = await Promise.all(Array.from({ length: 7 }, (_, i) => start(jobs, 'one', `k${i}`)));
    expect(jobs.activeCount()).toBeGreaterThan(0);
    for (const id of ids) expect((await until(jobs, id, ...over)).status).toBe('succeeded');
    await expect.poll(() => jobs.activeCount()).toBe(0);
    expect(most).toBeLessThanOrEqual(2);
  });

  it('refuses a flow that was changed under a run, or names two steps alike', async () => {
    const jobs = jobsOn(await openDatabase(), {
      twice: async (flow) => {
        await flow.step('a', {}, async () => 1);
        await flow.step('a', {}, async () => 2);
      },
    });
    await jobs.begin();
    const run = await until(jobs, await start(jobs, 'twice'), ...over);
    expect(run.error?.message).toBe("The flow twice has two steps named 'a'");
  });

  it('tells of runs whose flow is known no more, and lets them be cancelled', async () => {
    const database = await openDatabase();
    const first = jobsOn(database, { old: (flow) => flow.approval('ok', { question: '?' }) });
    await first.begin();
    const runId = await start(first, 'old');
    await until(first, runId, 'waiting');
    await first.stop();
    const warnings: unknown[] = [];
    const logger = { ...silentLogger, warn: (told: unknown) => warnings.push(told) } as unknown as Logger;
    const second = jobsOn(database, { new: async () => 1 }, { logger });
    await second.begin();
    expect(warnings).toEqual([{ runs: [{ run_id: runId, flow: 'old' }] }]);
    expect((await second.cancel(runId, { actor: 'grace' })).status).toBe('cancelled');
  });

  it('gives up a step in which its process dies again and again', async () => {
    const database = await openDatabase();
    const begun = Promise.withResolvers<void>();
    const deadly: Flow = (flow) =>
      flow.step('train', {}, () => {
        begun.resolve();
        return new Promise(() => {});
      });
    const first = jobsOn(database, { deadly });
    await first.begin();
    const runId = await start(first, 'deadly');
    await begun.promise;
    // Its process has died nineteen times, and does so once more.
    await tamperWith(database, 'update job_steps set interruptions = 19');
    await tamperWith(database, 'update job_runs set holder = null, epoch = epoch + 1');
    const second = jobsOn(database, { deadly });
    await second.begin();
    expect(await until(second, runId, ...over)).toMatchObject({
      status: 'failed',
      failedStep: 'train',
      error: { message: "The process ended 20 times in a row in the step 'train', without a result" },
    });
  });

  it('refuses a result that is no JSON, or too long for the database', async () => {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    const jobs = jobsOn(await openDatabase(), {
      circle: (flow) => flow.step('s', {}, async () => circle),
      long: (flow) => flow.step('s', {}, async () => 'x'.repeat(1024 * 1024)),
      longOutput: async () => 'x'.repeat(1024 * 1024),
    });
    await jobs.begin();
    const errorOf = async (flow: string) =>
      (await until(jobs, await start(jobs, flow), 'failed')).error?.message;
    expect(await errorOf('circle')).toContain("The result of the step 's' is no JSON");
    expect(await errorOf('long')).toContain('keep it as an artifact');
    expect(await errorOf('longOutput')).toContain('The output of the flow longOutput has 1048578 characters');
  });

  it('keeps the newest lines of a talkative step', async () => {
    const jobs = jobsOn(await openDatabase(), {
      chatty: async (flow) => {
        for (let i = 0; i < 6; i++) {
          await flow.step(`s${i}`, {}, async (step) => {
            for (let j = 0; j < 1000; j++) step.log(`${i}-${j}`);
          });
        }
      },
    });
    await jobs.begin();
    const runId = await start(jobs, 'chatty');
    const run = await until(jobs, runId, ...over);
    expect(run.logLines).toBe(6000);
    const kept = await jobs.store.log(runId, 0, 10_000);
    expect(kept).toHaveLength(5000);
    expect(kept[0]).toMatchObject({ line: 1001, text: '1-0' });
    expect(kept.at(-1)).toMatchObject({ line: 6000, text: '5-999' });
  });

  it('removes old finished runs, keeps their keys and what is unfinished', async () => {
    const clock = fixedClock();
    const database = await openDatabase();
    const flows = {
      quick: async () => 1,
      asks: (flow: FlowContext) => flow.approval('ok', { question: '?' }),
    };
    const first = jobsOn(database, flows, { clock });
    await first.begin();
    const old = await start(first, 'quick', 'old');
    const waiting = await start(first, 'asks', 'old');
    await until(first, old, ...over);
    await until(first, waiting, 'waiting');
    clock.advance(1000);
    const ids = [];
    for (const key of ['a', 'b', 'c']) {
      ids.push(await start(first, 'quick', key));
      await until(first, ids.at(-1) as string, ...over);
    }
    await first.stop();
    const second = jobsOn(database, flows, { clock, retention: { keepMs: 500, keepRuns: 2 }, pollMs: 10 });
    await second.begin();
    await expect
      .poll(async () => (await second.list()).map(({ runId }) => runId))
      .toEqual([ids[2], ids[1], waiting]);
    expect(
      await second.start({ flow: 'quick', subject: 'flights', key: 'old', trigger: byHand, actor: 'ada' }),
    ).toEqual({ runId: old, isNew: false });
  });

  it(`costs little beside the work of its steps (${dialect})`, async () => {
    const steps = ['ingest', 'validate', 'features', 'train', 'evaluate', 'register', 'deliver'];
    const jobs = jobsOn(
      await openDatabase(),
      {
        retrain: async (flow) => {
          for (const name of steps) await flow.step(name, {}, async () => name);
        },
      },
      { pollMs: 3_600_000 },
    );
    await jobs.begin();
    const times: number[] = [];
    for (let i = 0; i < 10; i++) {
      const from = performance.now();
      await until(jobs, await start(jobs, 'retrain', `k${i}`), ...over);
      times.push(performance.now() - from);
    }
    times.sort((a, b) => a - b);
    // 100 ms on a quiet machine; the limit is for a poll that got in between.
    expect(times[5]).toBeLessThan(700);
  });
});
