import { afterEach, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger } from '../../tests/support/index.ts';
import { createTestApp, postJson } from '../../tests/support/test-app.ts';
import { createMetrics, type Database } from '../platform/index.ts';
import { createJobs, type FlowContext, type Jobs, jobRoutes } from './index.ts';

const started: Jobs[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((jobs) => jobs.stop()));
});

async function serve(database: Database, flows: Record<string, (flow: FlowContext) => Promise<unknown>>) {
  const metrics = createMetrics();
  const jobs = createJobs({
    database,
    clock: fixedClock(),
    logger: silentLogger,
    flows,
    metrics,
    graceMs: 100,
  });
  started.push(jobs);
  await jobs.begin();
  const { app, start } = createTestApp({ metrics });
  jobRoutes({ jobs })(app);
  const url = await start();
  const ask = async (path: string, init?: RequestInit) => {
    const response = await fetch(`${url}${path}`, init);
    return { status: response.status, body: (await response.json()) as any };
  };
  return {
    jobs,
    metrics,
    get: ask,
    post: (path: string, body: unknown, actor = 'grace') =>
      ask(path, postJson(body, { 'x-tidemill-actor': actor })),
    run: async (flow: string, key = 'k', subject = 'flights') => {
      const trigger = { kind: 'hand', detail: { why: 'test' } };
      return (await jobs.start({ flow, subject, input: { n: 1 }, key, trigger, actor: 'ada' })).runId;
    },
    /** Follows the log to the end of the run. */
    follow: async (runId: string, until = ['succeeded', 'failed', 'cancelled', 'waiting']) => {
      const texts: string[] = [];
      for (let after = 0, seen = ''; ; ) {
        const { body } = await ask(`/api/v1/jobs/${runId}/logs?after=${after}&wait_ms=20000&seen=${seen}`);
        texts.push(...body.lines.map((line: { text: string }) => line.text));
        ({ next: after, state: seen } = body);
        if (until.includes(body.status)) return { texts, last: body };
      }
    },
  };
}

describeDatabases('the jobs of a control plane', (openDatabase) => {
  it('tells of a job with its steps, attempts and what they said', async () => {
    const { run, follow, get, metrics } = await serve(await openDatabase(), {
      retrain: (flow) =>
        flow.step('train', { retries: 1, backoffMs: 1 }, async (step) => {
          step.log(`attempt ${step.attempt}`);
          step.progress(1, 'trees');
          if (step.attempt === 1) throw new Error('flaky');
          return { auc: 0.8 };
        }),
    });
    const runId = await run('retrain');
    const { texts, last } = await follow(runId);
    expect(texts).toEqual(['attempt 1', 'attempt 1 failed: flaky', 'attempt 2']);
    expect(last).toMatchObject({ status: 'succeeded', next: 3 });
    const { body } = await get(`/api/v1/jobs/${runId}`);
    expect(body).toMatchObject({
      run_id: runId,
      flow: 'retrain',
      subject: 'flights',
      actor: 'ada',
      trigger: { kind: 'hand', detail: { why: 'test' } },
      status: 'succeeded',
      input: { n: 1 },
      output: { auc: 0.8 },
      log_lines: 3,
      steps: [
        {
          step: 'train',
          status: 'succeeded',
          progress: 1,
          progress_note: 'trees',
          attempts: [{ outcome: 'failed', error: { message: 'flaky' } }, { outcome: 'succeeded' }],
        },
      ],
    });
    expect((await get('/api/v1/jobs/nothing')).status).toBe(404);
    expect((await get('/api/v1/jobs/nothing/logs')).status).toBe(404);
    const text = metrics.render();
    expect(text).toContain('jobs_finished_total{flow="retrain",status="succeeded"} 1');
    expect(text).toContain('job_step_seconds_count{flow="retrain",step="train",outcome="failed"} 1');
    expect(text).toContain('jobs_running 0');
  });

  it('shows progress and lines while a step is under way', async () => {
    const gate = Promise.withResolvers<void>();
    const { run, get } = await serve(await openDatabase(), {
      slow: (flow) =>
        flow.step('train', {}, async (step) => {
          step.log('tree 10 of 40');
          step.progress(0.25, '10 trees');
          await gate.promise;
        }),
    });
    const runId = await run('slow');
    const { body } = await get(`/api/v1/jobs/${runId}/logs?wait_ms=20000`);
    expect(body).toMatchObject({
      status: 'running',
      step: 'train',
      progress: 0.25,
      progress_note: '10 trees',
      lines: [{ line: 1, text: 'tree 10 of 40', step: 'train', attempt: 1 }],
    });
    const waiting = get(`/api/v1/jobs/${runId}/logs?after=1&wait_ms=20000&seen=${body.state}`);
    gate.resolve();
    expect((await waiting).body.state).not.toBe(body.state);
  });

  it('lists jobs by flow, subject and status, page by page', async () => {
    const { run, follow, get } = await serve(await openDatabase(), {
      good: async () => 1,
      bad: () => Promise.reject(new Error('no')),
    });
    const ids: string[] = [];
    for (const [flow, key, subject] of [
      ['good', '1', 'a'],
      ['bad', '2', 'a'],
      ['good', '3', 'b'],
    ] as const) {
      ids.push(await run(flow, key, subject));
      await follow(ids.at(-1) as string);
    }
    const list = async (query: string) =>
      (await get(`/api/v1/jobs?${query}`)).body.jobs.map(({ run_id: id }: { run_id: string }) =>
        ids.indexOf(id),
      );
    expect(await list('')).toEqual([2, 1, 0]);
    expect(await list('flow=good')).toEqual([2, 0]);
    expect(await list('subject=a')).toEqual([1, 0]);
    expect(await list('status=failed,cancelled')).toEqual([1]);
    const first = await get('/api/v1/jobs?limit=2');
    expect(first.body.jobs).toHaveLength(2);
    expect(await list(`limit=2&page_token=${first.body.next_page_token}`)).toEqual([0]);
    expect((await get('/api/v1/jobs?limit=3')).body).not.toHaveProperty('next_page_token');
    expect((await get('/api/v1/jobs?page_token=x')).body.message).toContain('next_page_token');
    expect((await get('/api/v1/jobs?status=lost')).status).toBe(400);
  });

  it('lets people decide, with a reason to reject', async () => {
    const { run, follow, get, post } = await serve(await openDatabase(), {
      asks: async (flow) => {
        const answer = await flow.approval('release', { question: 'Release?', forbidSelf: true });
        if (!answer.approved) throw new Error(`rejected: ${answer.reason}`);
      },
    });
    const first = await run('asks', 'a');
    const second = await run('asks', 'b');
    await follow(first);
    await follow(second);
    const { body } = await get(`/api/v1/jobs/${first}`);
    expect(body).toMatchObject({
      status: 'waiting',
      waiting_for: 'release',
      steps: [
        { kind: 'approval', status: 'waiting', approval: { question: 'Release?', not_by_starter: true } },
      ],
    });
    const steps = `/api/v1/jobs/${first}/steps/release`;
    expect((await post(`${steps}/approve`, {}, 'ada')).status).toBe(403);
    expect((await post(`${steps}/approve`, { reason: 'fine' })).body.steps[0].approval).toMatchObject({
      approved: true,
      by: 'grace',
      reason: 'fine',
    });
    expect((await post(`/api/v1/jobs/${second}/steps/release/reject`, {})).status).toBe(400);
    await post(`/api/v1/jobs/${second}/steps/release/reject`, { reason: 'too soon' });
    const over = ['succeeded', 'failed'];
    expect((await follow(first, over)).last.status).toBe('succeeded');
    expect((await follow(second, over)).last.status).toBe('failed');
    expect((await get(`/api/v1/jobs/${second}`)).body.error).toEqual({ message: 'rejected: too soon' });
  });

  it('cancels, and tries again where it failed', async () => {
    let isBroken = true;
    const { run, follow, post, get } = await serve(await openDatabase(), {
      hangs: (flow) =>
        flow.step('wait', {}, ({ signal, attempt }) =>
          attempt > 1
            ? Promise.resolve('second time')
            : new Promise((_, reject) =>
                signal.addEventListener('abort', () => reject(signal.reason as Error)),
              ),
        ),
      breaks: (flow) =>
        flow.step('train', {}, async () => {
          if (isBroken) throw new Error('out of memory');
        }),
    });
    const hung = await run('hangs');
    expect((await post(`/api/v1/jobs/${hung}/cancel`, { reason: 'enough' })).body).toMatchObject({
      status: 'cancelled',
      error: { message: 'Cancelled by grace: enough' },
    });
    const over = ['succeeded', 'failed'];
    const broken = await run('breaks');
    expect((await follow(broken, over)).last.status).toBe('failed');
    isBroken = false;
    expect((await post(`/api/v1/jobs/${broken}/retry`, {})).status).toBe(200);
    expect((await follow(broken, ['succeeded'])).last.status).toBe('succeeded');
    expect((await post(`/api/v1/jobs/${broken}/retry`, {})).status).toBe(409);
    expect((await post(`/api/v1/jobs/${broken}/cancel`, {})).status).toBe(409);
    expect((await get(`/api/v1/jobs/${broken}`)).body.failed_step).toBeUndefined();
  });
});
