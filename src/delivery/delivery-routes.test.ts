import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { InjectOptions } from 'fastify';
import { beforeAll, beforeEach, expect, it } from 'vitest';
import { createControlPlaneApp } from '../../tests/support/control-plane-app.ts';
import { describeDatabases, fixedClock, tempDir } from '../../tests/support/index.ts';
import { rememberJudgements } from '../../tests/support/remember-judgements.ts';
import { lineModel } from '../../tests/support/served-models.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { ingestFile } from '../datasets/index.ts';
import { type App, type Database, stopGracefully } from '../platform/index.ts';
import { createDesiredStateReader, type Judge, judgeChallenger, judgeInProcess } from './index.ts';

const NOW = 1_795_218_807_000;

/** Each question about the same files is judged once. */
const judgeOnce = rememberJudgements(judgeChallenger);

/** `answer` is 'yes' where a > b, with a little noise; 200 rows. */
let heldOut: Uint8Array;
/** The same rows under other names, which the usual model does not know. */
let otherRows: Uint8Array;

beforeAll(async () => {
  const write = async (columns: [string, string]) => {
    const folder = tempDir();
    const csv = join(folder, 'rows.csv');
    const lines = Array.from({ length: 200 }, (_, i) => {
      const a = ((i * 37) % 100) / 25 - 2;
      const b = ((i * 61) % 100) / 25 - 2;
      return `${a},${b},${a + (i % 7 === 0 ? -1 : 0) > b ? 'yes' : 'no'}`;
    });
    writeFileSync(csv, `${columns.join(',')},answer\n${lines.join('\n')}\n`);
    const outPath = join(folder, 'rows.parquet');
    await ingestFile({ path: csv, outPath });
    return readFileSync(outPath);
  };
  heldOut = await write(['a', 'b']);
  otherRows = await write(['x', 'y']);
});

describeDatabases('delivery', (openDatabase, dialect) => {
  let app: App;
  let database: Database;
  let clock: ReturnType<typeof fixedClock>;
  let judge: Judge;

  beforeEach(async () => {
    database = await openDatabase();
    clock = fixedClock(NOW);
    judge = judgeOnce;
    app = await createControlPlaneApp({ database, clock, judge: (input, options) => judge(input, options) });
    return async () => {
      await app.close();
    };
  });

  async function ask(
    method: InjectOptions['method'],
    url: string,
    body?: object,
    headers: Record<string, string> = {},
  ) {
    const response = await app.inject({ method, url, headers, ...(body ? { payload: body } : {}) });
    return {
      status: response.statusCode,
      headers: response.headers,
      body: response.body ? response.json() : undefined,
    };
  }
  const mlflow = (path: string, body: object) => ask('POST', `/api/2.0/mlflow${path}`, body);
  const promote = (version: string, more: object = {}) =>
    ask('POST', '/api/v1/models/m/promote', { version, ...more }, { 'x-tidemill-actor': 'ann' });
  const rollback = (body: object = {}) =>
    ask('POST', '/api/v1/models/m/rollback', body, { 'x-tidemill-actor': 'bob' });
  const desired = async () => (await ask('GET', '/api/v1/serving/desired-state')).body;
  const model = async () => (await ask('GET', '/api/v1/models/m')).body;

  async function register(onnx: Uint8Array | string | undefined, rows?: Uint8Array): Promise<string> {
    await mlflow('/registered-models/create', { name: 'm' });
    const { run } = (await mlflow('/runs/create', { experiment_id: '0' })).body;
    const root = `0/${run.info.run_id}/artifacts`;
    const files = { 'model/model.onnx': onnx, 'evaluation/heldout.parquet': rows };
    for (const [path, content] of Object.entries(files)) {
      if (content === undefined) continue;
      await app.inject({
        method: 'PUT',
        url: `/api/2.0/mlflow-artifacts/artifacts/${root}/${path}`,
        payload: Buffer.from(content),
      });
    }
    const created = await mlflow('/model-versions/create', {
      name: 'm',
      source: `mlflow-artifacts:/${root}/model`,
      run_id: run.info.run_id,
    });
    return created.body.model_version.version;
  }
  const good = () => tinyClassifier({ weights: [3, -3] });
  const better = () => tinyClassifier({ weights: [3, -3], bias: -0.4 });
  const bad = () => tinyClassifier({ weights: [-3, 3] });

  it('promotes the first version without a comparison, and the same one again without a change', async () => {
    await register(good(), heldOut);
    expect((await promote('1')).body).toMatchObject({
      name: 'm',
      to: '1',
      changed: true,
      decision: { verdict: 'first', evidence: { example: 'reproduced' } },
    });
    const before = await desired();
    expect(before).toEqual({
      revision: '1',
      models: [
        {
          name: 'm',
          champion: {
            version: '1',
            run_id: expect.stringMatching(/^[0-9a-f]{32}$/),
            sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
            size_bytes: good().byteLength,
          },
        },
      ],
      not_servable: [],
    });
    expect((await promote('1')).body).toMatchObject({
      changed: false,
      from: '1',
      to: '1',
      decision: { verdict: 'already serving' },
    });
    expect(await desired()).toEqual(before);
  });

  it('promotes what is not worse on the held-out rows, refuses what is, and forces only with a reason', async () => {
    await register(good(), heldOut);
    await register(better(), heldOut);
    await register(bad(), heldOut);
    await promote('1');
    const second = await promote('2', { reason: 'softer' });
    expect(second.body).toMatchObject({
      from: '1',
      to: '2',
      changed: true,
      decision: { verdict: 'better' },
    });
    const { evidence } = second.body.decision;
    expect(evidence.comparison.challenger).toBeLessThan(evidence.comparison.champion);
    expect(evidence.comparison).toMatchObject({ metric: 'log_loss', rows: 200, method: 'bca' });
    expect(evidence.comparison.lo).toBeLessThan(evidence.comparison.hi);
    expect(evidence.held_out).toEqual({
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      rows: 200,
      left_out: 0,
    });
    expect(Object.keys(evidence.metrics.challenger)).toContain('roc_auc');

    const refused = await promote('3');
    expect(refused.status).toBe(409);
    expect(refused.body.error_code).toBe('RESOURCE_CONFLICT');
    expect(refused.body.message).toContain('is worse');
    expect(refused.body.message).toContain('tidemill promote m/3 --force --reason "…"');
    expect(refused.body.details.evidence.comparison.verdict).toBe('worse');
    expect((await model()).champion.version).toBe('2');

    expect((await promote('3', { force: true })).status).toBe(400);
    const forced = await promote('3', { force: true, reason: 'drill' });
    expect(forced.body.decision).toMatchObject({ verdict: 'forced' });
    const { history } = await model();
    expect(
      history.map((move: Record<string, unknown>) => [
        move['action'],
        move['from'],
        move['to'],
        move['actor'],
        move['reason'],
      ]),
    ).toEqual([
      ['promote', '2', '3', 'ann', 'drill'],
      ['promote', '1', '2', 'ann', 'softer'],
      ['promote', undefined, '1', 'ann', undefined],
    ]);
    const audit = (await ask('GET', '/api/v1/audit?subject=models/m')).body.entries;
    expect(audit.map((entry: { action: string }) => entry.action)).toEqual([
      'champion.promote',
      'champion.promote-refused',
      'champion.promote',
      'champion.promote',
    ]);
    expect((await ask('GET', '/api/v1/audit/verify')).body).toEqual({ ok: true, entries: 4 });
  });

  it('asks for force where there is nothing to compare on', async () => {
    await register(good(), heldOut);
    await register(better());
    await register(tinyClassifier({ weights: [3, -3], columns: ['x', 'y'] }), otherRows);
    await promote('1');
    const noRows = await promote('2');
    expect(noRows.status).toBe(409);
    expect(noRows.body.message).toContain('no held-out rows');
    expect(noRows.body.message).toContain('--force --reason');
    const otherColumns = await promote('3');
    expect(otherColumns.status).toBe(409);
    expect(otherColumns.body.message).toContain('the champion cannot score the held-out rows');
    const forced = await promote('3', { force: true, reason: 'new columns' });
    expect(forced.body.decision.verdict).toBe('forced');
    expect(forced.body.decision.summary).toContain('new columns');
  });

  it('rolls back to what served before, step by step, and says when nothing did', async () => {
    await register(good(), heldOut);
    expect((await rollback()).status).toBe(409);
    for (let i = 0; i < 3; i++) await register(good(), heldOut);
    for (const version of ['1', '2', '3']) expect((await promote(version)).status).toBe(200);
    expect((await desired()).models[0]).toMatchObject({
      champion: { version: '3' },
      previous: { version: '2' },
    });
    expect((await rollback({ reason: 'alarm' })).body).toEqual({
      name: 'm',
      from: '3',
      to: '2',
      changed: true,
    });
    expect((await desired()).models[0]).toMatchObject({
      champion: { version: '2' },
      previous: { version: '1' },
    });
    expect((await promote('4')).status).toBe(200);
    expect((await rollback()).body).toMatchObject({ from: '4', to: '2' });
    expect((await rollback()).body).toMatchObject({ from: '2', to: '1' });
    const nothing = await rollback();
    expect(nothing.status).toBe(409);
    expect(nothing.body.message).toContain('Nothing to roll back to');
    expect((await desired()).models[0]).toMatchObject({
      champion: { version: '1' },
      previous: { version: '2' },
    });
    expect((await model()).history[2]).toMatchObject({ action: 'promote', from: '2', to: '4' });
    expect((await ask('GET', '/api/v1/audit/verify')).body.ok).toBe(true);
  });

  it('passes over versions that are gone when it rolls back, and undoes an alias set by hand', async () => {
    for (let i = 0; i < 3; i++) await register(good(), heldOut);
    await promote('1');
    await promote('2');
    await mlflow('/registered-models/alias', { name: 'm', alias: 'champion', version: '3' });
    await ask('DELETE', '/api/2.0/mlflow/model-versions/delete', { name: 'm', version: '2' });
    expect((await rollback({ from: '9' })).status).toBe(409);
    expect((await rollback({ from: '3' })).body).toMatchObject({ from: '3', to: '1' });
    await ask('DELETE', '/api/2.0/mlflow/registered-models/alias', { name: 'm', alias: 'champion' });
    expect((await desired()).models).toEqual([]);
    expect((await rollback()).body).toEqual({ name: 'm', to: '1', changed: true });
  });

  it('moves by stage where stages govern the model', async () => {
    for (let i = 0; i < 2; i++) await register(good(), heldOut);
    await mlflow('/model-versions/transition-stage', { name: 'm', version: '1', stage: 'Production' });
    await promote('2');
    const stages = async () => (await model()).model_versions.map((each: { stage: string }) => each.stage);
    expect(await stages()).toEqual(['Production', 'Archived']);
    expect((await model()).champion).toMatchObject({ version: '2', by: 'stage' });
    await rollback();
    expect(await stages()).toEqual(['Archived', 'Production']);
    expect((await model()).aliases).toEqual({});
  });

  it('keeps the good version desired when the champion cannot be served, and says why', async () => {
    await register(good(), heldOut);
    await register('no ONNX at all');
    await promote('1');
    await mlflow('/registered-models/alias', { name: 'm', alias: 'champion', version: '2' });
    const state = await desired();
    expect(state.models).toMatchObject([{ name: 'm', champion: { version: '1' } }]);
    expect(state.not_servable).toMatchObject([{ name: 'm', version: '2' }]);
    expect(state.not_servable[0].reason).toContain('version 1 goes on serving');
  });

  it.each(['alias', 'stage'])(
    'goes on serving the last good version under champions that cannot be served, set by %s',
    async (by) => {
      const good1 = await register(good(), heldOut);
      const set = (version: string) =>
        by === 'alias'
          ? mlflow('/registered-models/alias', { name: 'm', alias: 'champion', version })
          : mlflow('/model-versions/transition-stage', {
              name: 'm',
              version,
              stage: 'Production',
              archive_existing_versions: true,
            });
      expect((await set(good1)).status).toBe(200);
      for (const onnx of ['no ONNX at all', undefined]) {
        const version = await register(onnx);
        expect((await set(version)).status).toBe(200);
        expect((await model()).champion).toMatchObject({ version, servable: false, by });
        const state = await desired();
        expect(state.models).toMatchObject([{ name: 'm', champion: { version: '1' } }]);
        expect(state.not_servable).toEqual([
          { name: 'm', version, reason: expect.stringContaining('version 1 goes on serving') },
        ]);
      }
      const next = await register(better(), heldOut);
      await set(next);
      expect(await desired()).toMatchObject({
        models: [{ champion: { version: next }, previous: { version: '1' } }],
        not_servable: [],
      });
    },
  );

  it('answers one of two promotions at once against the other', async () => {
    for (let i = 0; i < 3; i++) await register(good(), heldOut);
    await promote('1');
    const both = await Promise.all([promote('2'), promote('3')]);
    expect(both.map(({ status }) => status)).toEqual([200, 200]);
    const { history } = await model();
    expect(history.map((move: { from?: string }) => move.from)).toEqual(['2', '1', undefined]);
  });

  it('refuses a promotion when something else began to serve while it was judged', async () => {
    for (let i = 0; i < 3; i++) await register(good(), heldOut);
    await promote('1');
    judge = async (input) => {
      await mlflow('/registered-models/alias', { name: 'm', alias: 'champion', version: '3' });
      return judgeChallenger(input);
    };
    const late = await promote('2');
    expect(late.status).toBe(409);
    expect(late.body.message).toContain('now it is version 3');
    expect((await model()).champion.version).toBe('3');
  });

  it('answers 304 while nothing moved, and a waiting question as soon as something does', async () => {
    for (let i = 0; i < 2; i++) await register(good(), heldOut);
    await promote('1');
    const { headers, body } = await ask('GET', '/api/v1/serving/desired-state');
    const etag = String(headers['etag']);
    expect(etag).toBe(`"${body.revision}"`);
    expect(
      (await ask('GET', '/api/v1/serving/desired-state', undefined, { 'if-none-match': etag })).status,
    ).toBe(304);
    const waited = await ask('GET', '/api/v1/serving/desired-state?wait_ms=20', undefined, {
      'if-none-match': etag,
    });
    expect(waited.status).toBe(304);
    const waiting = ask('GET', '/api/v1/serving/desired-state?wait_ms=30000', undefined, {
      'if-none-match': etag,
    });
    await promote('2');
    const woken = await waiting;
    expect(woken.status).toBe(200);
    expect(woken.body.models[0].champion.version).toBe('2');
    expect((await ask('GET', '/api/v1/serving/desired-state?wait_ms=60000')).status).toBe(400);
  });

  it.skipIf(dialect === 'sqlite')('tells one replica of the move that another one made', async () => {
    for (let i = 0; i < 2; i++) await register(good(), heldOut);
    await promote('1');
    const replica = await createControlPlaneApp({ database, clock, judge });
    const { headers } = await ask('GET', '/api/v1/serving/desired-state');
    const waiting = replica.inject({
      url: '/api/v1/serving/desired-state?wait_ms=30000',
      headers: { 'if-none-match': String(headers['etag']) },
    });
    await promote('2');
    expect((await waiting).json().models[0].champion.version).toBe('2');
    await replica.close();
  });

  it('asks for force where the champion is no file that could be scored', async () => {
    await register('no ONNX at all');
    await register(good(), heldOut);
    await mlflow('/registered-models/alias', { name: 'm', alias: 'champion', version: '1' });
    const refused = await promote('2');
    expect(refused.body.message).toContain('the champion cannot score');
    expect((await promote('2', { force: true, reason: 'the first that can serve' })).status).toBe(200);
  });

  it('shares one look at the tables among those who ask at the same time', async () => {
    await register(good(), heldOut);
    await promote('1');
    const queriesOf = async (readers: number) => {
      let queries = 0;
      const { read } = createDesiredStateReader({ database: watchReader(database, () => queries++) });
      const states = await Promise.all(Array.from({ length: readers }, read));
      for (const state of states) expect(state).toBe(states[0]);
      return queries;
    };
    const alone = await queriesOf(1);
    // Every further reader asks for the revision only.
    expect(await queriesOf(10)).toBe(alone + 9);
  });

  it('tells by which columns rows are counted apart, and serves on when that cannot be read', async () => {
    await register(good(), heldOut);
    await promote('1');
    const readWith = async (policyOf: () => { segments: string[] }) =>
      (await createDesiredStateReader({ database, policyOf }).read()).models;
    expect(await readWith(() => ({ segments: ['city'] }))).toMatchObject([{ name: 'm', segments: ['city'] }]);
    expect((await readWith(() => ({ segments: [] })))[0]).not.toHaveProperty('segments');
    const unreadable = () => {
      throw new Error('of another version');
    };
    expect(await readWith(unreadable)).toMatchObject([{ name: 'm', champion: { version: '1' } }]);
  });

  it('tells a state although others move all the time', async () => {
    await register(good(), heldOut);
    await promote('1');
    let moves = 100;
    const moving = watchReader(
      database,
      () => {},
      (row) => ('revision' in row && !('name' in row) ? { ...row, revision: moves++ } : row),
    );
    const state = await createDesiredStateReader({ database: moving }).read();
    expect(state.models).toMatchObject([{ name: 'm', champion: { version: '1' } }]);
    expect(Number(state.revision)).toBeLessThan(moves - 1);
    expect(moves).toBeLessThan(120);
  });

  // What a judgement says and when it ends does not depend on the database.
  if (dialect !== 'sqlite') return;

  it('never promotes what cannot be loaded or does not reproduce its example', async () => {
    await register(good(), heldOut);
    await register('no ONNX at all');
    await register(tinyClassifier({ weights: [3, -3], recordedProbability: 0.9 }), heldOut);
    await promote('1');
    const force = { force: true, reason: 'please' };
    const broken = await promote('2', force);
    expect(broken.status).toBe(400);
    expect(broken.body.message).toContain('cannot be served');
    const liar = await promote('3', force);
    expect(liar.status).toBe(409);
    expect(liar.body.message).toContain('recorded example');
    expect((await promote('9')).status).toBe(404);
    expect((await model()).champion.version).toBe('1');
  });

  it('does not compare models that answer different questions', async () => {
    await register(good(), heldOut);
    await register(lineModel(), heldOut);
    await promote('1');
    const refused = await promote('2');
    expect(refused.status).toBe(409);
    expect(refused.body.message).toContain("the champion answers another question: binary of 'answer'");
  });

  it('judges in a process of its own', async () => {
    judge = judgeInProcess;
    await register(good(), heldOut);
    await register(better(), heldOut);
    await promote('1');
    expect((await promote('2')).body.decision).toMatchObject({ verdict: 'better' });
  });

  it('judges one challenger at a time, also of different models, and ends judging when it stops', async () => {
    await register(good(), heldOut);
    const { model_versions } = await model();
    await mlflow('/registered-models/create', { name: 'n' });
    await mlflow('/model-versions/create', { name: 'n', source: model_versions[0].source });
    const begun = Promise.withResolvers<void>();
    let judges = 0;
    judge = (_input, { signal } = {}) => {
      judges++;
      begun.resolve();
      return new Promise((_, reject) =>
        signal?.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    };
    const first = promote('1');
    await begun.promise;
    const second = ask('POST', '/api/v1/models/n/promote', { version: '1' });
    // The second has come as far as it gets when as many questions as it asks before were answered.
    for (let i = 0; i < 10; i++) await model();
    expect(judges).toBe(1);
    const stopped = stopGracefully(app);
    expect((await Promise.all([first, second])).map(({ status }) => status)).toEqual([503, 503]);
    await stopped;
    expect(judges).toBe(1);
  });

  it('ends a waiting question when it stops, without a look at the database', async () => {
    const looked = Promise.withResolvers<void>();
    let isClosed = false;
    const watched = watchReader(database, () => {
      if (isClosed) throw new Error('The database is closed');
      looked.resolve();
    });
    const server = await createControlPlaneApp({ database: watched, clock, judge });
    const { revision } = await desired();
    const waiting = server.inject({
      url: '/api/v1/serving/desired-state?wait_ms=30000',
      headers: { 'if-none-match': `"${revision}"` },
    });
    await looked.promise;
    isClosed = true;
    const stopped = stopGracefully(server);
    expect((await waiting).statusCode).toBe(304);
    await stopped;
  });
});

/** A database that tells of every query of its reader, and may answer something else. */
function watchReader(
  database: Database,
  onQuery: () => void,
  change: (row: Record<string, unknown>) => Record<string, unknown> = (row) => row,
): Database {
  const reader = database.reader.withPlugin({
    transformQuery({ node }) {
      onQuery();
      return node;
    },
    transformResult: async ({ result }) => ({
      ...result,
      rows: (result.rows as Record<string, unknown>[]).map(change),
    }),
  });
  return { ...database, reader } as Database;
}
