import type { InjectOptions } from 'fastify';
import { beforeEach, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger, tempDir } from '../../tests/support/index.ts';
import { tinyClassifier } from '../../tests/support/tiny-model.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import { type App, createApp, createMetrics } from '../platform/index.ts';
import { trackingRoutes } from '../tracking/index.ts';
import { createModelFiles, createServingSignal, registryRoutes } from './index.ts';
import { onnxFileOf } from './model-files.ts';

const NOW = 1_795_218_807_000;

describeDatabases('registry routes', (openDatabase) => {
  let app: App;
  let clock: ReturnType<typeof fixedClock>;
  let notified: number;

  beforeEach(async () => {
    const database = await openDatabase();
    clock = fixedClock(NOW);
    notified = 0;
    app = createApp({
      name: 'test',
      version: '0',
      logger: silentLogger,
      metrics: createMetrics(),
      clock,
      verifyResponses: true,
    });
    const artifacts = createLocalArtifactStore({ root: tempDir() });
    const signal = createServingSignal();
    const moved = {
      ...signal,
      notify() {
        notified++;
        signal.notify();
      },
    };
    await app.register(trackingRoutes({ database, artifacts, clock }));
    await app.register(registryRoutes({ database, clock, files: createModelFiles({ artifacts }), moved }));
    await app.ready();
    return async () => {
      await app.close();
    };
  });

  async function ask(method: InjectOptions['method'], path: string, body?: object, headers = {}) {
    const url = path.startsWith('/api/') ? path : `/api/2.0/mlflow${path}`;
    const response = await app.inject({ method, url, headers, ...(body ? { payload: body } : {}) });
    return { status: response.statusCode, body: response.json() };
  }
  const post = (path: string, body: object, headers = {}) => ask('POST', path, body, headers);
  const get = (path: string) => ask('GET', path);

  async function startRun(files: Record<string, Uint8Array | string> = {}): Promise<string> {
    const { body } = await post('/runs/create', { experiment_id: '0', start_time: NOW });
    const runId = body.run.info.run_id;
    for (const [path, content] of Object.entries(files)) {
      const put = await app.inject({
        method: 'PUT',
        url: `/api/2.0/mlflow-artifacts/artifacts/0/${runId}/artifacts/${path}`,
        payload: Buffer.from(content),
      });
      expect(put.statusCode).toBe(200);
    }
    return runId;
  }

  async function register(name: string, files: Record<string, Uint8Array | string>): Promise<string> {
    const runId = await startRun(files);
    const source = `mlflow-artifacts:/0/${runId}/artifacts/model`;
    const created = await post('/model-versions/create', { name, source, run_id: runId });
    expect(created.status).toBe(200);
    return created.body.model_version.version;
  }
  const model = (weight = 1) => ({ 'model/model.onnx': tinyClassifier({ weights: [weight, -weight] }) });
  const detail = async (name: string) => (await get(`/api/v1/models/${name}`)).body;

  it('creates, finds and describes registered models as recorded', async () => {
    expect((await get('/registered-models/get?name=nope')).body).toMatchObject({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: 'Registered Model with name=nope not found',
    });
    expect(await post('/registered-models/create', { name: 'rm1' })).toEqual({
      status: 200,
      body: { registered_model: { name: 'rm1', creation_timestamp: NOW, last_updated_timestamp: NOW } },
    });
    expect(await post('/registered-models/create', { name: 'rm1' })).toMatchObject({
      status: 400,
      body: { error_code: 'RESOURCE_ALREADY_EXISTS', message: 'Registered Model (name=rm1) already exists.' },
    });
    clock.advance(5);
    const updated = await ask('PATCH', '/registered-models/update', { name: 'rm1', description: 'desc' });
    expect(updated.body.registered_model).toEqual({
      name: 'rm1',
      creation_timestamp: NOW,
      last_updated_timestamp: NOW + 5,
      description: 'desc',
    });
    expect((await post('/registered-models/set-tag', { name: 'rm1', key: 'k', value: 'v' })).body).toEqual(
      {},
    );
    expect((await get('/registered-models/get?name=rm1')).body.registered_model.tags).toEqual([
      { key: 'k', value: 'v' },
    ]);
    expect((await ask('DELETE', '/registered-models/delete-tag', { name: 'rm1', key: 'k' })).body).toEqual(
      {},
    );
    for (const name of ['a/b', 'a:b', '..', ' ']) {
      expect((await post('/registered-models/create', { name })).status).toBe(400);
    }
  });

  it('registers versions, stages and aliases as recorded', async () => {
    await post('/registered-models/create', { name: 'rm1' });
    const runId = await startRun(model());
    const source = `mlflow-artifacts:/0/${runId}/artifacts/model`;
    const v1 = {
      name: 'rm1',
      version: '1',
      creation_timestamp: NOW,
      last_updated_timestamp: NOW,
      current_stage: 'None',
      description: '',
      source,
      run_id: runId,
      status: 'READY',
      run_link: '',
    };
    expect((await post('/model-versions/create', { name: 'rm1', source, run_id: runId })).body).toEqual({
      model_version: v1,
    });
    const tagged = await post('/model-versions/create', {
      name: 'rm1',
      source: `runs:/${runId}/model`,
      tags: [{ key: 'k', value: 'v' }],
    });
    expect(tagged.body.model_version).toMatchObject({
      version: '2',
      run_id: '',
      tags: [{ key: 'k', value: 'v' }],
    });
    clock.advance(7);
    const staged = { ...v1, last_updated_timestamp: NOW + 7, current_stage: 'Production' };
    const moved = await post('/model-versions/transition-stage', {
      name: 'rm1',
      version: '1',
      stage: 'production',
      archive_existing_versions: true,
    });
    expect(moved.body).toEqual({ model_version: staged });
    expect(
      (await post('/registered-models/alias', { name: 'rm1', alias: 'champion', version: '1' })).body,
    ).toEqual({});
    const aliased = { ...staged, aliases: ['champion'] };
    expect((await get('/registered-models/alias?name=rm1&alias=champion')).body).toEqual({
      model_version: aliased,
    });
    expect((await get('/model-versions/get?name=rm1&version=1')).body).toEqual({ model_version: aliased });
    expect(
      (await post('/registered-models/get-latest-versions', { name: 'rm1', stages: ['Production'] })).body,
    ).toEqual({
      model_versions: [aliased],
    });
    const read = (await get('/registered-models/get?name=rm1')).body.registered_model;
    expect(read.last_updated_timestamp).toBe(NOW + 7);
    expect(read.latest_versions[0]).toEqual(staged);
    expect(read.latest_versions).toHaveLength(2);
    expect(read.aliases).toEqual([{ alias: 'champion', version: '1' }]);
    const found = await get(
      `/model-versions/search?filter=${encodeURIComponent("name='rm1'")}&max_results=10000`,
    );
    expect(found.body.model_versions.map((each: { version: string }) => each.version)).toEqual(['1', '2']);
    expect(found.body.model_versions[0]).toEqual(staged);
    const filter = encodeURIComponent("name LIKE 'rm%' AND tag.`mlflow.prompt.is_prompt` != 'true'");
    expect(
      (await get(`/registered-models/search?filter=${filter}&max_results=100`)).body.registered_models,
    ).toEqual([read]);
    expect((await get('/model-versions/get-download-uri?name=rm1&version=2')).body).toEqual({
      artifact_uri: source,
    });
    expect(await get('/registered-models/alias?name=rm1&alias=zzz')).toMatchObject({
      status: 400,
      body: { error_code: 'INVALID_PARAMETER_VALUE', message: 'Registered model alias zzz not found.' },
    });
    expect((await ask('DELETE', '/registered-models/alias', { name: 'rm1', alias: 'unknown' })).status).toBe(
      200,
    );
    for (const alias of ['latest', 'v3', 'a b', 'x'.repeat(256)]) {
      expect((await post('/registered-models/alias', { name: 'rm1', alias, version: '1' })).status).toBe(400);
    }
    expect(
      (await post('/model-versions/transition-stage', { name: 'rm1', version: '1', stage: 'Live' })).status,
    ).toBe(400);
    expect((await post('/registered-models/alias', { name: 'rm1', alias: 'a', version: '9' })).status).toBe(
      404,
    );
    const renamed = await post('/registered-models/rename', { name: 'rm1', new_name: 'rm2' });
    expect(renamed.body.registered_model).toMatchObject({
      name: 'rm2',
      aliases: [{ alias: 'champion', version: '1' }],
    });
    expect((await get('/registered-models/get?name=rm1')).status).toBe(404);
    expect((await ask('DELETE', '/registered-models/delete', { name: 'rm2' })).body).toEqual({});
    expect((await get('/registered-models/get?name=rm2')).status).toBe(404);
  });

  it('gives every version its own number, never one that was used before', async () => {
    await post('/registered-models/create', { name: 'm' });
    const runId = await startRun(model());
    const source = `runs:/${runId}/model`;
    const made = await Promise.all(
      Array.from({ length: 8 }, () => post('/model-versions/create', { name: 'm', source, run_id: runId })),
    );
    const numbers = made.map(({ body }) => Number(body.model_version.version)).sort((a, b) => a - b);
    expect(numbers).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    await ask('DELETE', '/model-versions/delete', { name: 'm', version: '8' });
    expect((await post('/model-versions/create', { name: 'm', source })).body.model_version.version).toBe(
      '9',
    );
  });

  it('records what can be served, and why something cannot', async () => {
    await post('/registered-models/create', { name: 'm' });
    await register('m', model());
    await register('m', {
      'model/MLmodel': 'flavors:\n  sklearn:\n    pickled_model: model.pkl\n',
      'model/model.pkl': 'x',
    });
    await register('m', { 'model/model.onnx': 'this is no ONNX' });
    await register('m', {
      'model/MLmodel':
        'flavors:\n  onnx:\n    code: null\n    data: other.onnx\n    onnx_version: 1.16\n  python_function:\n    data: model.onnx\n',
      'model/other.onnx': tinyClassifier({ weights: [2, 1] }),
    });
    await register('m', {});
    const { model_versions } = await detail('m');
    const [nothing, named, broken, pickle, good] = model_versions;
    expect(good).toMatchObject({
      servable: true,
      task: 'binary',
      framework: 'test',
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
    });
    expect(pickle.servable).toBe(false);
    expect(pickle.not_servable_reason).toContain('model.pkl');
    expect(broken.servable).toBe(false);
    expect(broken.not_servable_reason).toContain('not usable');
    expect(named.servable).toBe(true);
    expect(nothing.not_servable_reason).toContain('no files');
    await post('/registered-models/alias', { name: 'm', alias: 'champion', version: '2' });
    expect((await detail('m')).champion).toMatchObject({ version: '2', servable: false });
    expect((await get('/api/v1/models/m/versions/2/model')).status).toBe(400);
  });

  it('gives the bytes of a version even after its run lost them', async () => {
    await post('/registered-models/create', { name: 'm' });
    await register('m', model());
    const { model_versions } = await detail('m');
    const { source, sha256 } = model_versions[0];
    await app.inject({
      method: 'DELETE',
      url: `/api/2.0/mlflow-artifacts/artifacts/${source.replace('mlflow-artifacts:/', '')}`,
    });
    const got = await app.inject({ url: '/api/v1/models/m/versions/1/model' });
    expect(got.statusCode).toBe(200);
    expect(got.headers['x-content-sha256']).toBe(sha256);
    expect(Buffer.compare(got.rawPayload, tinyClassifier({ weights: [1, -1] }))).toBe(0);
    expect((await get('/api/v1/models/m/versions/7/model')).status).toBe(404);
  });

  it('serves the alias champion, else the newest version in stage Production, and keeps who moved it and why', async () => {
    await post('/registered-models/create', { name: 'm' });
    for (let i = 1; i <= 3; i++) await register('m', model(i));
    expect((await detail('m')).champion).toBeUndefined();
    const stage = (version: string, to: string) =>
      post('/model-versions/transition-stage', { name: 'm', version, stage: to, reason: 'stage says so' });
    await stage('2', 'Production');
    await stage('1', 'Production');
    expect((await detail('m')).champion).toMatchObject({ version: '2', by: 'stage' });
    clock.advance(10);
    await post(
      '/registered-models/alias',
      { name: 'm', alias: 'champion', version: '3', reason: 'it is better' },
      { 'x-tidemill-actor': 'ann' },
    );
    expect((await detail('m')).champion).toMatchObject({ version: '3', by: 'alias', since: NOW + 10 });
    await stage('1', 'Archived');
    await ask('DELETE', '/model-versions/delete', { name: 'm', version: '3' });
    const { champion, history, aliases } = await detail('m');
    expect(champion).toMatchObject({ version: '2', by: 'stage' });
    expect(aliases).toEqual({});
    expect(
      history.map((move: Record<string, unknown>) => [
        move['action'],
        move['from'],
        move['to'],
        move['actor'],
        move['reason'],
      ]),
    ).toEqual([
      ['delete-version', '3', '2', 'anonymous', undefined],
      ['alias', '2', '3', 'ann', 'it is better'],
      ['stage', undefined, '2', 'anonymous', 'stage says so'],
    ]);
    const audit = await get('/api/v1/audit?subject=models/m');
    expect(audit.body.entries.map((entry: { action: string }) => entry.action)).toEqual([
      'champion.delete-version',
      'champion.alias',
      'champion.stage',
    ]);
    expect((await get('/api/v1/audit/verify')).body).toEqual({ ok: true, entries: 3 });
    expect(notified).toBe(5);
    expect((await get('/api/v1/models')).body.models).toHaveLength(1);
    expect((await get('/api/v1/models/m/history')).body.history).toHaveLength(3);
  });

  it('archives only the versions of an active stage', async () => {
    await post('/registered-models/create', { name: 'm' });
    for (let i = 1; i <= 3; i++) await register('m', model(i));
    const stage = (version: string, to: string) =>
      post('/model-versions/transition-stage', {
        name: 'm',
        version,
        stage: to,
        archive_existing_versions: true,
      });
    await stage('1', 'Staging');
    await stage('2', 'STAGING');
    await stage('3', 'None');
    const { model_versions } = await detail('m');
    expect(model_versions.map((each: { stage: string }) => each.stage)).toEqual([
      'None',
      'Staging',
      'Archived',
    ]);
  });

  it('describes, tags and finds versions', async () => {
    await post('/registered-models/create', {
      name: 'm',
      description: 'd',
      tags: [{ key: 'team', value: 'red' }],
    });
    await post('/registered-models/create', { name: 'Other' });
    const runId = await startRun(model());
    const source = `runs:/${runId}/model`;
    for (const value of ['a', 'b']) {
      await post('/model-versions/create', { name: 'm', source, run_id: runId, tags: [{ key: 'k', value }] });
    }
    const described = await ask('PATCH', '/model-versions/update', {
      name: 'm',
      version: '1',
      description: 'first',
    });
    expect(described.body.model_version).toMatchObject({ version: '1', description: 'first' });
    expect(
      (await post('/model-versions/set-tag', { name: 'm', version: 2, key: 'x', value: 'y' })).body,
    ).toEqual({});
    expect(
      (await ask('DELETE', '/model-versions/delete-tag', { name: 'm', version: '2', key: 'k' })).body,
    ).toEqual({});
    expect((await get('/model-versions/get?name=m&version=2')).body.model_version.tags).toEqual([
      { key: 'x', value: 'y' },
    ]);
    const versions = async (filter: string, more = '') => {
      const { status, body } = await get(
        `/model-versions/search?filter=${encodeURIComponent(filter)}${more}`,
      );
      if (status !== 200) return body.error_code;
      return (body.model_versions ?? []).map((each: { version: string }) => each.version);
    };
    expect(await versions(`run_id IN ('${runId}')`, '&order_by=version_number ASC')).toEqual(['1', '2']);
    expect(await versions("tags.k = 'a'")).toEqual(['1']);
    expect(await versions("tags.k IS NULL AND name = 'm'")).toEqual(['2']);
    expect(await versions("tags.x IS NOT NULL AND version_number > 1 AND source_path LIKE 'runs:%'")).toEqual(
      ['2'],
    );
    expect(await versions("colour = 'red'")).toBe('INVALID_PARAMETER_VALUE');
    expect(await versions('', '&order_by=colour')).toBe('INVALID_PARAMETER_VALUE');
    const first = (
      await get('/model-versions/search?max_results=1&order_by=name&order_by=version_number%20DESC')
    ).body;
    expect(first.model_versions[0].version).toBe('2');
    expect(
      await versions(
        '',
        `&max_results=1&order_by=name&order_by=version_number%20DESC&page_token=${first.next_page_token}`,
      ),
    ).toEqual(['1']);
    const models = async (filter: string) =>
      (
        (await get(`/registered-models/search?filter=${encodeURIComponent(filter)}`)).body
          .registered_models ?? []
      ).map((each: { name: string }) => each.name);
    expect(await models('')).toEqual(['Other', 'm']);
    expect(await models("tags.team = 'red'")).toEqual(['m']);
    expect(await models("name ILIKE 'o%'")).toEqual(['Other']);
    expect(await models("name LIKE 'o%'")).toEqual([]);
    expect((await get('/registered-models/search?filter=version%20%3D%201')).status).toBe(400);
    for (const [path, body] of [
      ['/model-versions/set-tag', { name: 'm', version: '1', key: 'k'.repeat(251), value: '' }],
      ['/registered-models/set-tag', { name: 'm', key: 'k', value: 'v'.repeat(100_001) }],
      ['/registered-models/create', { name: 'n'.repeat(257) }],
      ['/registered-models/create', { name: 'long', description: 'd'.repeat(100_001) }],
      ['/model-versions/create', { name: 'm', source: 'models:/m-0123' }],
    ] as const) {
      expect({ path, status: (await post(path, body)).status }).toEqual({ path, status: 400 });
    }
    expect((await get('/model-versions/get?name=m&version=x')).status).toBe(400);
    expect(
      (await post('/model-versions/set-tag', { name: 'm', version: '9', key: 'k', value: '' })).status,
    ).toBe(404);
  });

  it('audits a champion that is renamed or deleted with its model', async () => {
    await post('/registered-models/create', { name: 'm' });
    await register('m', model());
    await post('/registered-models/alias', { name: 'm', alias: 'champion', version: '1' });
    await post('/registered-models/rename', { name: 'm', new_name: 'n', reason: 'new name' });
    expect((await detail('n')).history).toHaveLength(1);
    await ask('DELETE', '/registered-models/delete', { name: 'n', reason: 'old' });
    const { entries } = (await get('/api/v1/audit?limit=2')).body;
    expect(
      entries.map((each: Record<string, unknown>) => [each['action'], each['subject'], each['reason']]),
    ).toEqual([
      ['champion.delete-model', 'models/n', 'old'],
      ['champion.rename', 'models/m', 'new name'],
    ]);
    await post('/registered-models/create', { name: 'n' });
    expect((await detail('n')).history).toEqual([]);
  });

  it('refuses sources on the server and sources that do not exist', async () => {
    await post('/registered-models/create', { name: 'm' });
    for (const source of [
      '/etc/passwd',
      'file:///etc',
      'mlflow-artifacts:/0/../x',
      'mlflow-artifacts:/a%2f..%2fb',
      'runs:/nope/model',
      'models:/m/7',
      'relative/path',
    ]) {
      const refused = await post('/model-versions/create', { name: 'm', source });
      expect({ source, status: refused.status }).toEqual({ source, status: 400 });
      expect(refused.body.message).toContain('Invalid model version source');
    }
    await register('m', model());
    const copy = await post('/model-versions/create', { name: 'm', source: 'models:/m/1' });
    expect(copy.body.model_version).toMatchObject({ version: '2', source: 'models:/m/1' });
    expect((await detail('m')).model_versions[0].servable).toBe(true);
    const elsewhere = await post('/model-versions/create', { name: 'm', source: 's3://bucket/model' });
    expect(elsewhere.status).toBe(200);
    expect((await detail('m')).model_versions[0].not_servable_reason).toContain('not on this server');
  });

  it('refuses sources that are too long to check', async () => {
    await post('/registered-models/create', { name: 'm' });
    const source = `mlflow-artifacts:/x/%${'25'.repeat(100_000)}`;
    for (const [field, body] of [
      ['source', { source }],
      ['source', { source: `mlflow-artifacts:/x${'/'.repeat(100_000)}x` }],
      ['run_link', { source: 's3://b/m', run_link: 'x'.repeat(1001) }],
      ['user_id', { source: 's3://b/m', user_id: 'x'.repeat(1001) }],
    ] as const) {
      const refused = await post('/model-versions/create', { name: 'm', ...body });
      expect(refused.status).toBe(400);
      expect(refused.body.message).toContain(`parameter '${field}'`);
    }
  });

  it('refuses versions that name each other in a circle', async () => {
    for (const name of ['la', 'lb']) await post('/registered-models/create', { name });
    await post('/model-versions/create', { name: 'lb', source: 's3://b/m' });
    await post('/registered-models/alias', { name: 'lb', alias: 'x', version: '1' });
    await post('/model-versions/create', { name: 'la', source: 'models:/lb@x' });
    await post('/model-versions/create', { name: 'lb', source: 'models:/la/1' });
    await post('/registered-models/alias', { name: 'lb', alias: 'x', version: '2' });
    const { status, body } = await get('/model-versions/get-download-uri?name=la&version=1');
    expect(status).toBe(400);
    expect(body.message).toContain('models:/lb/2 -> models:/la/1 -> models:/lb/2');
  });
});

it('reads the ONNX file that an MLmodel names, and nothing else of it', () => {
  expect(onnxFileOf('flavors:\n  onnx:\n    data: m.onnx\n')).toBe('m.onnx');
  expect(
    onnxFileOf('flavors:\n  python_function:\n    data: m.onnx\n  onnx:\n    code: x\n'),
  ).toBeUndefined();
  expect(onnxFileOf('flavors:\n  sklearn:\n    data: m.pkl\n')).toBeUndefined();
});
