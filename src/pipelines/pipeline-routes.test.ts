import { createReadStream, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeDatabases, silentLogger, tempDir } from '../../tests/support/index.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import { createVersionAdder } from '../datasets/index.ts';
import type { Gain } from '../delivery/index.ts';
import { createJobs, createStepWorkers, jobRoutes } from '../jobs/index.ts';
import { type App, createApp, createAuditStore, createMetrics, type Database } from '../platform/index.ts';
import { createModelFiles, createRegisteredModel } from '../registry/index.ts';
import { createPipelines, pipelineRoutes, STEP_PROCESS } from './index.ts';
import type { PromotionPort } from './pipeline-deps.ts';

const NOW = Date.UTC(2026, 0, 20);

describeDatabases('pipeline routes', (openDatabase) => {
  let app: App;
  let database: Database;
  let promotion: PromotionPort;
  let gained: Gain | undefined;
  let promoted: { key: string; version: number; reason: string }[];
  let triggerToken: string | undefined;
  let stop: () => Promise<void>;
  let upload: (name: string, rows: number) => Promise<void>;
  let setToken: (token: string) => Promise<void>;

  beforeEach(async () => {
    database = await openDatabase();
    promoted = [];
    triggerToken = undefined;
    gained = undefined;
    promotion = {
      outcome: 'promoted',
      decision: { id: 17, verdict: 'first', summary: 'nothing served before' },
    };
    const artifacts = createLocalArtifactStore({ root: tempDir() });
    const clock = { now: () => NOW };
    const workers = createStepWorkers({ entry: STEP_PROCESS, size: 1, logger: silentLogger });
    const common = { database, artifacts, clock, logger: silentLogger };
    const pipelines = createPipelines({
      ...common,
      files: createModelFiles({ artifacts }),
      jobs: () => jobs,
      delivery: {
        promote: async (request) => {
          promoted.push(request);
          return promotion;
        },
        rollouts: { list: async () => [] },
        gainOf: async (id) => (id === 17 ? gained : undefined),
      },
      openAlarms: async () => [],
      windows: async () => [],
      log: { exportLabelled: async () => ({ rows: 0, digest: '' }), counts: async () => ({ labelled: 0 }) },
      runner: workers,
      workFolder: tempDir(),
      codeVersion: 'test',
    });
    const jobs = createJobs({ ...common, flows: pipelines.flows, pollMs: 20 });
    await jobs.begin();
    const open = async () => {
      app = createApp({
        name: 'test',
        version: '0',
        logger: silentLogger,
        metrics: createMetrics(),
        clock,
        verifyResponses: true,
      });
      pipelineRoutes({
        pipelines,
        clock,
        explainers: [
          async () => [
            { what: 'gate: α', value: '0.05', isDefault: true, formula: 'one-sided', source: 'gate.alpha' },
          ],
        ],
        triggerToken,
      })(app);
      jobRoutes({ jobs })(app);
      await app.ready();
    };
    await open();
    setToken = async (token) => {
      await app.close();
      triggerToken = token;
      await open();
    };
    stop = async () => {
      await app.close();
      await jobs.stop();
      await workers.stop();
    };
    upload = async (name, count) => {
      const path = join(tempDir(), 'rows.csv');
      const rows = Array.from({ length: count }, (_, i) => {
        const a = (i * 37) % 100;
        return `2026-01-${String(1 + Math.floor(i / 12)).padStart(2, '0')},${a},${a > 50 ? 'yes' : 'no'}`;
      });
      writeFileSync(path, `day,a,y\n${rows.join('\n')}\n`);
      const body = createReadStream(path);
      await createVersionAdder(common).upload({
        name,
        body,
        filename: 'rows.csv',
        time: 'day',
        actor: 'ann',
      });
    };
    await upload('rows', 200);
  });
  afterEach(() => stop());

  async function ask(
    method: InjectOptions['method'],
    url: string,
    body?: object,
    headers: Record<string, string> = {},
  ) {
    const response = await app.inject({
      method,
      url: `/api/v1/${url}`,
      headers: { 'x-tidemill-actor': 'ann', ...headers },
      ...(body ? { payload: body } : {}),
    });
    return { status: response.statusCode, body: response.json() };
  }
  const model = {
    data: { dataset: 'rows', target: 'y', ignore: ['day'] },
    train: { algorithm: 'gradient-boosting', trees: 4 },
    retrain: { schedule: '0 3 * * 1', cooldown: '6h' },
  };
  const put = (more: object = {}) => ask('PUT', 'models/m/pipeline', { ...model, ...more });

  async function ended(runId: string) {
    for (let seen = ''; ; ) {
      const { body } = await ask(
        'GET',
        `jobs/${runId}/logs?wait_ms=5000&after=1000000&seen=${encodeURIComponent(seen)}`,
      );
      if (['succeeded', 'failed', 'waiting'].includes(body.status))
        return (await ask('GET', `jobs/${runId}`)).body;
      seen = body.state;
    }
  }

  it('takes a model by JSON, shows it, and takes it away', async () => {
    expect(await put()).toEqual({ status: 200, body: { name: 'm', changed: true } });
    expect((await put()).body.changed).toBe(false);
    const { body: shown } = await ask('GET', 'models/m/pipeline');
    expect(shown).toMatchObject({ name: 'm', active: true, config: model, decisions: [], runs: [] });
    expect(shown.next_scheduled_at).toBe(Date.UTC(2026, 0, 26, 3));
    expect(shown.steps.map(({ name }: any) => name)).toEqual([
      'ingest',
      'validate',
      'features',
      'train',
      'evaluate',
      'register',
      'approve',
      'deliver',
    ]);
    expect((await ask('GET', 'project')).body.models).toEqual([
      { name: 'm', config: model, folder: '', applied_at: NOW },
    ]);
    expect(await ask('DELETE', 'models/m/pipeline')).toEqual({
      status: 200,
      body: { name: 'm', changed: true },
    });
    expect((await ask('GET', 'models/m/pipeline')).body.active).toBe(false);
    expect((await ask('DELETE', 'models/m/pipeline')).status).toBe(404);
    expect((await ask('GET', 'models/other/pipeline')).status).toBe(404);
  });

  it('lets nobody take away or change who approves but those who approve', async () => {
    const by = async (actor: string, more?: object) => {
      const body = more && { ...model, ...more };
      const answer = await ask(more ? 'PUT' : 'DELETE', 'models/m/pipeline', body, {
        'x-tidemill-actor': actor,
      });
      return answer.status === 403 ? (answer.body.message as string) : answer.status;
    };
    const named = (actor: string) =>
      `${actor} may not change who approves 'm': the project's approve names ann, bob`;
    expect(await by('eve', { approve: ['ann', 'bob'] })).toBe(200);
    expect(await by('eve')).toBe(named('eve'));
    expect(await by('eve', {})).toBe(named('eve'));
    expect(await by('eve', { approve: ['eve'] })).toBe(named('eve'));
    expect(await by('eve', { approve: false })).toBe(named('eve'));
    expect(await by('eve', { approve: ['ann', 'bob'], gate: { alpha: 0.01 } })).toBe(200);
    expect(await by('bob', { approve: true })).toBe(200);
    const last = "bob may not change who approves 'm': bob applied it last, so somebody else must";
    expect(await by('bob', {})).toBe(last);
    expect(await by('bob')).toBe(last);
    expect(await by('eve', {})).toBe(200);
    expect(await by('bob', { approve: ['ann'] })).toBe(200);
    expect(await by('ann')).toBe(200);
    // What nobody applies any more keeps nobody from it.
    expect(await by('eve', {})).toBe(200);
    const audit = await createAuditStore(database.reader).list({ subject: 'models/m' });
    expect(audit.map(({ actor }) => actor)).toEqual(['eve', 'ann', 'bob', 'eve', 'bob', 'eve', 'eve']);
  });

  it('refuses what a project file could not say, and files of the server', async () => {
    const wrong = async (more: object) => {
      const { status, body } = await put(more);
      expect(status).toBe(400);
      return body.message as string;
    };
    expect(await wrong({ retrain: { shedule: 'x' } })).toMatch(
      /models\.m\.retrain\.shedule is not known; did you mean 'schedule'/,
    );
    expect(await wrong({ data: { path: '/etc/passwd', target: 'y' } })).toMatch(
      /a server reads no files that a request names/,
    );
    expect(await wrong({ features: { b: 'abs(c)' } })).toMatch(/Feature "b".*"c"/);
    expect(await wrong({ retrain: { schedule: 'now' } })).toMatch(/models\.m\.retrain\.schedule is "now"/);
    expect((await put({ data: { dataset: 'none', target: 'y' } })).status).toBe(404);
    const rows = (more: object) => wrong({ data: { dataset: 'rows', target: 'y', ...more } });
    expect(await rows({ ignore: ['dya'] })).toMatch(/"dya" \(data\.ignore\): did you mean "day"\?/);
    expect(await rows({ time: 'dya' })).toMatch(/"dya" \(data\.time\): did you mean "day"\?/);
    expect(await rows({ id: 'number' })).toMatch(/"number" \(data\.id\): the columns are "day", "a", "y"/);
    expect(await rows({ target: 'yy' })).toMatch(/"yy" \(data\.target\): did you mean "y"\?/);
    expect(await rows({ target: 'b > 15' })).toMatch(/"b"/);
    expect(await rows({ target: 'day' })).toMatch(/it must give a number, a truth value or a text/);
    expect((await put({ data: { dataset: 'rows', target: 'a > 15' } })).status).toBe(200);
  });

  it('hides the paths of webhooks, which are secrets', async () => {
    await put({ monitor: { webhooks: [{ url: 'https://hooks.example.com/T0/secret', form: 'slack' }] } });
    const { body } = await ask('GET', 'models/m/pipeline');
    expect(body.config.monitor.webhooks[0].url).toBe('https://hooks.example.com/…');
    expect(JSON.stringify((await ask('GET', 'project')).body)).not.toContain('secret');
  });

  it('retrains when asked, once for a key, and tells how it ended', { timeout: 120_000 }, async () => {
    await put();
    const body = { trigger: 'hand', reason: 'new rows', idempotency_key: 'k' };
    const started = await ask('POST', 'models/m/retrain', body);
    expect(started).toMatchObject({ status: 200, body: { name: 'm', why: 'by hand: new rows' } });
    const job = await ended(started.body.run_id);
    expect(job.status).toBe('succeeded');
    expect(job.output).toMatchObject({ outcome: 'promoted', version: 1, verdict: 'first', rows: 200 });
    expect(promoted).toMatchObject([
      { version: 1, key: `${started.body.run_id}/deliver`, reason: 'retrained: by hand: new rows' },
    ]);
    expect((await ask('POST', 'models/m/retrain', body)).body.run_id).toBe(started.body.run_id);
    const webhook = await ask('POST', 'models/m/retrain', { reason: 'ci' });
    expect(webhook.status).toBe(409);
    expect(webhook.body.message).toMatch(/cooldown until 2026-01-20T06:00Z/);
    const { body: shown } = await ask('GET', 'models/m/pipeline');
    expect(shown.cooldown_until).toBe(NOW + 6 * 3_600_000);
    expect(shown.runs).toMatchObject([{ outcome: 'promoted', version: '1', status: 'succeeded' }]);
    expect(shown.runs[0].gained).toBeUndefined();
    const measured = { metric: 'log_loss', difference: 0.02, lo: 0.01, hi: 0.03, rows: 900, isFinal: true };
    gained = { ...measured, predecessor: 0, until: NOW } as Gain;
    expect((await ask('GET', 'models/m/pipeline')).body.runs[0].gained).toMatchObject({
      difference: 0.02,
      low: 0.01,
      high: 0.03,
      rows: 900,
      is_final: true,
      summary: expect.stringMatching(/^log_loss better by 0\.02 than version 0's.*900 labelled rows/),
    });
    expect(shown.decisions.map(({ cause, outcome }: any) => `${cause} ${outcome}`)).toEqual([
      'webhook skipped',
      'hand started',
    ]);
  });

  it('calls a refusal by the gate a result, and a broken table a failure that says what is wrong', {
    timeout: 120_000,
  }, async () => {
    promotion = { outcome: 'refused', decision: { verdict: 'inconclusive', summary: 'too few days' } };
    await put();
    const started = await ask('POST', 'models/m/retrain', { trigger: 'hand' });
    expect((await ended(started.body.run_id)).output).toMatchObject({
      outcome: 'rejected',
      verdict: 'inconclusive',
      summary: 'too few days',
    });
    await upload('few', 30);
    await put({ data: { dataset: 'few', target: 'y', ignore: ['day'] } });
    const broken = await ask('POST', 'models/m/retrain', { trigger: 'hand' });
    const failed = await ended(broken.body.run_id);
    expect(failed).toMatchObject({ status: 'failed', failed_step: 'validate' });
    expect(failed.error.message).toMatch(
      /nothing was trained: rows: there are 30 rows; a retraining needs at least 50/,
    );
    expect(promoted).toHaveLength(1);
  });

  it('waits for a yes where the project asks for one, not of who asked for it', {
    timeout: 120_000,
  }, async () => {
    await put({ approve: ['ann', 'bob'] });
    const started = await ask('POST', 'models/m/retrain', { trigger: 'hand' });
    const waiting = await ended(started.body.run_id);
    expect(waiting).toMatchObject({ status: 'waiting', waiting_for: expect.stringContaining('approve') });
    expect(promoted).toEqual([]);
    const decide = (what: string, actor: string) =>
      ask(
        'POST',
        `jobs/${started.body.run_id}/steps/approve/${what}`,
        { reason: 'looked at it' },
        { 'x-tidemill-actor': actor },
      );
    expect((await decide('approve', 'ann')).status).toBe(403);
    expect((await decide('approve', 'eve')).status).toBe(403);
    expect((await decide('approve', 'bob')).status).toBe(200);
    expect(await ended(started.body.run_id)).toMatchObject({
      status: 'succeeded',
      output: { outcome: 'promoted' },
    });
    expect(promoted).toHaveLength(1);
    const again = await ask('POST', 'models/m/retrain', { trigger: 'hand' });
    await ended(again.body.run_id);
    await ask(
      'POST',
      `jobs/${again.body.run_id}/steps/approve/reject`,
      { reason: 'too early' },
      { 'x-tidemill-actor': 'bob' },
    );
    expect((await ended(again.body.run_id)).output).toMatchObject({
      outcome: 'not approved',
      summary: 'bob said no: too early',
    });
    expect(promoted).toHaveLength(1);
  });

  it('takes no body for an empty one', { timeout: 60_000 }, async () => {
    await put();
    const started = await ask('POST', 'models/m/retrain');
    expect(started).toMatchObject({ status: 200, body: { name: 'm' } });
    await ended(started.body.run_id);
  });

  it('asks for the trigger token where there is one', async () => {
    await put();
    await setToken('let me in');
    const headers = (authorization: string) => ({ authorization });
    expect((await ask('POST', 'models/m/retrain', {})).status).toBe(403);
    expect((await ask('POST', 'models/m/retrain', {}, headers('Bearer let me on'))).status).toBe(403);
    const right = await ask('POST', 'models/n/retrain', {}, headers('Bearer let me in'));
    expect(right.status).toBe(404);
  });

  it('explains with what the other slices say', async () => {
    await put();
    const { entries } = (await ask('GET', 'models/m/explain')).body;
    expect(entries[0]).toEqual({
      what: 'gate: α',
      value: '0.05',
      is_default: true,
      formula: 'one-sided',
      source: 'gate.alpha',
    });
    const of = (source: string) => entries.find((entry: any) => entry.source === source);
    expect(of('retrain.schedule')).toMatchObject({ value: '0 3 * * 1', is_default: false });
    expect(of('retrain.window')).toMatchObject({ value: 'none', is_default: true });
    const unknown = await ask('GET', 'models/x/explain');
    expect(unknown).toMatchObject({
      status: 404,
      body: { message: expect.stringContaining('No model "x"') },
    });
    await database.execute(createRegisteredModel, { name: 'x', description: '', tags: [], now: NOW });
    expect((await ask('GET', 'models/x/explain')).body.entries.at(-1)).toMatchObject({
      value: 'never by itself',
    });
  });
});
