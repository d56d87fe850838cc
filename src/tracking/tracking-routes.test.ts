import { randomBytes } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import { beforeEach, expect, it } from 'vitest';
import { describeDatabases, fixedClock, silentLogger, tempDir } from '../../tests/support/index.ts';
import { createLocalArtifactStore } from '../artifacts/index.ts';
import { type App, createApp, createMetrics } from '../platform/index.ts';
import { rewriteMlflowUrl, trackingRoutes } from './index.ts';

const NOW = 1_795_218_807_000;

describeDatabases('tracking routes', (openDatabase) => {
  let app: App;

  beforeEach(async () => {
    const database = await openDatabase();
    const clock = fixedClock(NOW);
    app = createApp({
      name: 'test',
      version: '0',
      logger: silentLogger,
      metrics: createMetrics(),
      clock,
      verifyResponses: true,
      rewriteUrl: rewriteMlflowUrl,
    });
    const artifacts = createLocalArtifactStore({ root: tempDir() });
    await app.register(trackingRoutes({ database, artifacts, clock, random: () => 0.5 }));
    await app.ready();
    return async () => {
      await app.close();
    };
  });

  async function ask(method: InjectOptions['method'], path: string, body?: object, base = '/api/2.0/mlflow') {
    const response = await app.inject({ method, url: `${base}${path}`, ...(body ? { payload: body } : {}) });
    return { status: response.statusCode, body: response.json() };
  }
  const post = (path: string, body: object) => ask('POST', path, body);
  const get = (path: string) => ask('GET', path);

  async function startRun(body: object = {}): Promise<string> {
    const created = await post('/runs/create', {
      experiment_id: '0',
      start_time: NOW,
      run_name: 'r1',
      ...body,
    });
    expect(created.status).toBe(200);
    return created.body.run.info.run_id;
  }

  it('has the experiment Default from the start', async () => {
    const { body } = await get('/experiments/get?experiment_id=0');
    expect(body.experiment).toMatchObject({
      experiment_id: '0',
      name: 'Default',
      artifact_location: 'mlflow-artifacts:/0',
      lifecycle_stage: 'active',
    });
  });

  it('creates, finds, tags, renames, deletes and restores experiments as recorded', async () => {
    expect((await get('/experiments/get-by-name?experiment_name=exp1')).body).toMatchObject({
      error_code: 'RESOURCE_DOES_NOT_EXIST',
      message: "Could not find experiment with name 'exp1'",
    });
    const created = await post('/experiments/create', { name: 'exp1', tags: [{ key: 'a', value: 'b' }] });
    expect(created).toEqual({ status: 200, body: { experiment_id: '1' } });
    expect((await get('/experiments/get?experiment_id=1')).body).toEqual({
      experiment: {
        experiment_id: '1',
        name: 'exp1',
        artifact_location: 'mlflow-artifacts:/1',
        lifecycle_stage: 'active',
        last_update_time: NOW,
        creation_time: NOW,
        tags: [{ key: 'a', value: 'b' }],
      },
    });
    expect(await post('/experiments/create', { name: 'exp1' })).toMatchObject({
      status: 400,
      body: { error_code: 'RESOURCE_ALREADY_EXISTS' },
    });
    const runId = await startRun({ experiment_id: '1' });
    for (const [path, body] of [
      ['/experiments/set-experiment-tag', { experiment_id: '1', key: 'x', value: 'y' }],
      ['/experiments/update', { experiment_id: '1', new_name: 'exp2' }],
      ['/experiments/delete', { experiment_id: '1' }],
    ] as const) {
      expect(await post(path, body)).toEqual({ status: 200, body: {} });
    }
    expect((await get('/experiments/get-by-name?experiment_name=exp2')).body.experiment).toMatchObject({
      lifecycle_stage: 'deleted',
      tags: [
        { key: 'a', value: 'b' },
        { key: 'x', value: 'y' },
      ],
    });
    expect((await get(`/runs/get?run_id=${runId}`)).body.run.info.lifecycle_stage).toBe('deleted');
    expect((await post('/experiments/create', { name: 'exp2' })).body.message).toContain('deleted state');
    expect((await post('/runs/create', { experiment_id: '1' })).status).toBe(400);
    await post('/experiments/restore', { experiment_id: '1' });
    expect((await get(`/runs/get?run_id=${runId}`)).body.run.info.lifecycle_stage).toBe('active');
  });

  it('searches experiments by name and view', async () => {
    for (const name of ['exp1', 'Exp2', 'other']) await post('/experiments/create', { name });
    await post('/experiments/delete', { experiment_id: '3' });
    const names = async (body: object) =>
      ((await post('/experiments/search', body)).body.experiments ?? []).map(
        (each: { name: string }) => each.name,
      );
    expect(await names({ filter: "name LIKE 'exp%'", max_results: 10 })).toEqual(['exp1']);
    expect(await names({ filter: "name ILIKE 'exp%'", order_by: ['name ASC'] })).toEqual(['Exp2', 'exp1']);
    expect(await names({ view_type: 'DELETED_ONLY' })).toEqual(['other']);
    const first = (await post('/experiments/search', { view_type: 'ALL', max_results: 3 })).body;
    expect(first.experiments).toHaveLength(3);
    const rest = (await post('/experiments/search', { view_type: 'ALL', page_token: first.next_page_token }))
      .body;
    expect(rest.experiments).toHaveLength(1);
    expect(rest.next_page_token).toBeUndefined();
  });

  it('starts and finishes a run as recorded', async () => {
    const created = await post('/runs/create', {
      experiment_id: '0',
      user_id: 'root',
      run_name: 'r1',
      start_time: NOW,
      tags: [
        { key: 'mlflow.user', value: 'root' },
        { key: 'mlflow.runName', value: 'r1' },
      ],
    });
    const { run_id } = created.body.run.info;
    expect(run_id).toMatch(/^[0-9a-f]{32}$/);
    const info = {
      run_uuid: run_id,
      experiment_id: '0',
      run_name: 'r1',
      user_id: 'root',
      status: 'RUNNING',
      start_time: NOW,
      artifact_uri: `mlflow-artifacts:/0/${run_id}/artifacts`,
      lifecycle_stage: 'active',
      run_id,
    };
    expect(created.body).toEqual({
      run: {
        info,
        data: {
          tags: [
            { key: 'mlflow.runName', value: 'r1' },
            { key: 'mlflow.user', value: 'root' },
          ],
        },
        inputs: {},
      },
    });
    const updated = await post('/runs/update', {
      run_uuid: run_id,
      status: 'FINISHED',
      end_time: `${NOW + 5}`,
      run_id,
    });
    expect(updated.body).toEqual({ run_info: { ...info, status: 'FINISHED', end_time: NOW + 5 } });
    const renamed = await post('/runs/set-tag', { run_id, key: 'mlflow.runName', value: 'r2' });
    expect(renamed).toEqual({ status: 200, body: {} });
    expect((await get(`/runs/get?run_id=${run_id}`)).body.run.info.run_name).toBe('r2');
  });

  it('names a run that was given no name', async () => {
    const { body } = await post('/runs/create', { experiment_id: '0' });
    expect(body.run.info.run_name).toMatch(/^[a-z]+-[a-z]+-\d+$/);
    expect(body.run.info.start_time).toBe(NOW);
  });

  it('keeps all points of a metric once, and the latest by step, time and value', async () => {
    const run_id = await startRun();
    const points = [
      { value: 0.5, timestamp: NOW, step: 0 },
      { value: 0.7, timestamp: NOW + 1, step: 5 },
      { value: 0.9, timestamp: NOW + 9, step: 1 },
      { value: 0.5, timestamp: NOW, step: 0 },
    ];
    for (const point of points) {
      expect(await post('/runs/log-metric', { run_id, key: 'm', ...point })).toEqual({
        status: 200,
        body: {},
      });
    }
    await post('/runs/log-batch', {
      run_id,
      metrics: [
        { key: 'nan', value: 'NaN', timestamp: `${NOW}`, step: '3' },
        { key: 'inf', value: 'Infinity', timestamp: NOW, step: 3 },
        { key: 'ninf', value: '-Infinity', timestamp: NOW, step: 3 },
      ],
      params: [{ key: 'p', value: '1' }],
      tags: [{ key: 't', value: 'v' }],
    });
    const { data } = (await get(`/runs/get?run_id=${run_id}`)).body.run;
    expect(data).toEqual({
      metrics: [
        { key: 'inf', value: 1.7976931348623157e308, timestamp: NOW, step: 3 },
        { key: 'm', value: 0.7, timestamp: NOW + 1, step: 5 },
        { key: 'nan', value: 'NaN', timestamp: NOW, step: 3 },
        { key: 'ninf', value: -1.7976931348623157e308, timestamp: NOW, step: 3 },
      ],
      params: [{ key: 'p', value: '1' }],
      tags: [
        { key: 'mlflow.runName', value: 'r1' },
        { key: 't', value: 'v' },
      ],
    });
    const history = await get(`/metrics/get-history?run_id=${run_id}&metric_key=m&max_results=2`);
    expect(history.body.metrics).toEqual([
      { key: 'm', value: 0.5, timestamp: NOW, step: 0 },
      { key: 'm', value: 0.7, timestamp: NOW + 1, step: 5 },
    ]);
    const token = history.body.next_page_token;
    expect(
      (await get(`/metrics/get-history?run_id=${run_id}&metric_key=m&page_token=${token}`)).body,
    ).toEqual({
      metrics: [{ key: 'm', value: 0.9, timestamp: NOW + 9, step: 1 }],
    });
  });

  it('refuses another value of a parameter, and a key twice in one batch', async () => {
    const run_id = await startRun();
    await post('/runs/log-parameter', { run_id, key: 'p', value: '1' });
    expect((await post('/runs/log-parameter', { run_id, key: 'p', value: '1' })).status).toBe(200);
    expect(await post('/runs/log-parameter', { run_id, key: 'p', value: '2' })).toMatchObject({
      status: 400,
      body: {
        error_code: 'INVALID_PARAMETER_VALUE',
        message: `Changing param values is not allowed. Param with key='p' was already logged with value='1' for run ID='${run_id}'. Attempted logging new value '2'.`,
      },
    });
    const twice = await post('/runs/log-batch', {
      run_id,
      metrics: [{ key: 'm', value: 1, timestamp: NOW }],
      params: [
        { key: 'q', value: '1' },
        { key: 'q', value: '2' },
      ],
    });
    expect(twice.status).toBe(400);
    expect((await get(`/runs/get?run_id=${run_id}`)).body.run.data.metrics).toBeUndefined();
  });

  it('undoes a whole batch when one part of it fails', async () => {
    const run_id = await startRun();
    await post('/runs/log-parameter', { run_id, key: 'p', value: '1' });
    const failed = await post('/runs/log-batch', {
      run_id,
      params: [
        { key: 'a', value: '1' },
        { key: 'p', value: '2' },
      ],
    });
    expect(failed.status).toBe(400);
    expect((await get(`/runs/get?run_id=${run_id}`)).body.run.data.params).toEqual([
      { key: 'p', value: '1' },
    ]);
  });

  it('keeps a deleted run readable and refuses writes to it', async () => {
    const run_id = await startRun();
    expect(await post('/runs/delete', { run_id })).toEqual({ status: 200, body: {} });
    expect((await get(`/runs/get?run_id=${run_id}`)).body.run.info.lifecycle_stage).toBe('deleted');
    for (const [path, body] of [
      ['/runs/log-metric', { key: 'm', value: 1, timestamp: NOW }],
      ['/runs/log-parameter', { key: 'p', value: '1' }],
      ['/runs/set-tag', { key: 't', value: '1' }],
      ['/runs/update', { status: 'FINISHED' }],
    ] as const) {
      const refused = await post(path, { run_id, ...body });
      expect(refused.status).toBe(400);
      expect(refused.body.message).toContain("must be in the 'active' state");
    }
    await post('/runs/restore', { run_id });
    expect((await post('/runs/set-tag', { run_id, key: 't', value: '1' })).status).toBe(200);
    expect((await post('/runs/delete-tag', { run_id, key: 't' })).status).toBe(200);
    expect((await post('/runs/delete-tag', { run_id, key: 't' })).status).toBe(404);
  });

  it('logs dataset inputs and finds runs by them', async () => {
    const run_id = await startRun();
    const dataset = {
      name: 'train',
      digest: '4fb5574f',
      source_type: 'code',
      source: '{}',
      profile: '{"num_rows": 2}',
    };
    const tags = [{ key: 'mlflow.data.context', value: 'training' }];
    for (let i = 0; i < 2; i++) {
      expect(await post('/runs/log-inputs', { run_id, datasets: [{ tags, dataset }] })).toEqual({
        status: 200,
        body: {},
      });
    }
    expect((await get(`/runs/get?run_id=${run_id}`)).body.run.inputs).toEqual({
      dataset_inputs: [{ tags, dataset }],
    });
    const found = async (filter: string) =>
      (await post('/runs/search', { experiment_ids: ['0'], filter })).body.runs?.length ?? 0;
    expect(await found("dataset.name = 'train' AND dataset.context = 'training'")).toBe(1);
    expect(await found("dataset.digest LIKE '5%'")).toBe(0);
  });

  it('answers under every prefix, and says what is wrong with a request', async () => {
    for (const base of ['/api/3.0/mlflow', '/ajax-api/2.0/mlflow', '/ajax-api/3.0/mlflow']) {
      expect((await ask('GET', '/experiments/get?experiment_id=0', undefined, base)).status).toBe(200);
    }
    const unknown = await get('/runs/get?run_id=00000000000000000000000000000000');
    expect(unknown).toMatchObject({
      status: 404,
      body: {
        error_code: 'RESOURCE_DOES_NOT_EXIST',
        message: 'Run with id=00000000000000000000000000000000 not found',
      },
    });
    expect((await post('/experiments/create', {})).body.message).toContain(
      "Missing value for required parameter 'name'.",
    );
    expect((await post('/runs/log-parameter', { run_id: 31, key: 'p', value: 'x' })).body.message).toContain(
      "Invalid value 31 for parameter 'run_id' supplied",
    );
    const run_id = await startRun();
    expect(
      (await post('/runs/log-metric', { run_id, key: 'm', value: 'x', timestamp: 1 })).body.message,
    ).toContain(`Invalid value "x" for parameter 'value' supplied`);
    for (const key of ['a/../b', '/a', '.', 'a//b', 'semi;colon', 'x'.repeat(251)]) {
      expect((await post('/runs/set-tag', { run_id, key, value: 'v' })).body.message).toContain(
        'Invalid tag name',
      );
    }
    const text = await app.inject({
      method: 'POST',
      url: '/api/2.0/mlflow/experiments/create',
      headers: { 'content-type': 'text/plain' },
      payload: '{"name":"x"}',
    });
    expect(text.statusCode).toBe(400);
    const nothing = await app.inject({ method: 'POST', url: '/api/2.0/mlflow/experiments/create' });
    expect(nothing.statusCode).toBe(400);
  });

  it('answers a search that is as large as it may be, and refuses a larger one', async () => {
    const clauses = (count: number) =>
      Array.from({ length: count }, (_, i) => `metrics.m${i} > 0`).join(' AND ');
    const ids = (count: number) => Array.from({ length: count }, (_, i) => String(i));
    const search = async (body: object) => (await post('/runs/search', body)).status;
    expect(await search({ experiment_ids: ids(10_000), filter: clauses(50) })).toBe(200);
    expect(await search({ experiment_ids: ['0'], filter: clauses(51) })).toBe(400);
    expect(await search({ experiment_ids: ids(100_000) })).toBe(400);
    expect(await search({ experiment_ids: ['0'], order_by: ids(101).map((id) => `metrics.m${id}`) })).toBe(
      400,
    );
    const long = { name: 'long', artifact_location: `file:///${'x'.repeat(5000)}` };
    expect((await post('/experiments/create', long)).status).toBe(400);
  });

  it('searches runs by metrics, params, tags and attributes, in order, page by page', async () => {
    const ids: string[] = [];
    const values = [0.2, 0.8, 'NaN', undefined];
    for (const [i, value] of values.entries()) {
      const run_id = await startRun({
        run_name: `run-${i}`,
        start_time: NOW + i,
        user_id: i < 2 ? 'ann' : 'Bob',
      });
      ids.push(run_id);
      if (value !== undefined)
        await post('/runs/log-metric', { run_id, key: 'val acc', value, timestamp: NOW });
      await post('/runs/log-parameter', { run_id, key: 'p', value: String(i) });
      if (i % 2) await post('/runs/set-tag', { run_id, key: 'a.b', value: 'odd' });
    }
    const search = async (filter: string, more: object = {}) => {
      const { status, body } = await post('/runs/search', { experiment_ids: ['0'], filter, ...more });
      if (status !== 200) throw new Error(JSON.stringify(body));
      return (body.runs ?? []).map((run: { info: { run_id: string } }) => ids.indexOf(run.info.run_id));
    };
    expect(await search('')).toEqual([3, 2, 1, 0]);
    expect(await search('metrics.`val acc` > 0.1 and params.p = "1"')).toEqual([1]);
    expect(await search('metrics."val acc" != 0.2')).toEqual([1]);
    expect(await search("tags.a.b = 'odd'")).toEqual([3, 1]);
    expect(await search('tags.`a.b` IS NULL')).toEqual([2, 0]);
    expect(await search("tags.`a.b` != 'odd'")).toEqual([]);
    expect(await search("attributes.user_id LIKE 'b%'")).toEqual([]);
    expect(await search("user_id ILIKE 'b%' AND run_name != 'run-2'")).toEqual([3]);
    expect(await search(`run_id IN ('${ids[0]}', '${ids[2]}')`)).toEqual([2, 0]);
    expect(await search(`attributes.start_time >= ${NOW + 2}`)).toEqual([3, 2]);
    expect(await search(`params.p LIKE '_' AND status = 'RUNNING'`, { order_by: ['params.p ASC'] })).toEqual([
      0, 1, 2, 3,
    ]);
    expect(await search('', { order_by: ['metrics.`val acc` DESC'] })).toEqual([1, 0, 2, 3]);
    expect(await search('', { order_by: ['metrics.`val acc`'] })).toEqual([0, 1, 2, 3]);
    const first = (await post('/runs/search', { experiment_ids: ['0'], max_results: 3 })).body;
    expect(first.runs).toHaveLength(3);
    expect(await search('', { max_results: 3, page_token: first.next_page_token })).toEqual([0]);
    for (const filter of [
      'metrics.acc >',
      'metrics.acc = "x"',
      "color.x = 'y'",
      "status > 'x'",
      'a = 1 OR b = 2',
      "speed = 'x'",
    ]) {
      expect({
        filter,
        status: (await post('/runs/search', { experiment_ids: ['0'], filter })).status,
      }).toEqual({
        filter,
        status: 400,
      });
    }
  });

  it('stores, lists, gives and deletes artifacts as recorded', async () => {
    const run_id = await startRun();
    const base = `/api/2.0/mlflow-artifacts/artifacts`;
    const root = `0/${run_id}/artifacts`;
    const bytes = randomBytes(100_000);
    const put = (path: string, payload: Buffer | string, headers = {}) =>
      app.inject({ method: 'PUT', url: `${base}/${root}/${path}`, payload, headers });
    expect((await put('d.json', '{"a":1}', { 'content-type': 'application/json' })).json()).toEqual({});
    await put('many/sub/y.txt', 'y', { 'content-type': 'text/plain' });
    await put('many/model.bin', bytes);
    await put('empty', '');

    const listed = await app.inject({ url: `${base}?path=${encodeURIComponent(root)}` });
    expect(listed.json()).toEqual({
      files: [
        { path: 'd.json', is_dir: false, file_size: 7 },
        { path: 'empty', is_dir: false, file_size: 0 },
        { path: 'many', is_dir: true },
      ],
    });
    expect((await app.inject({ url: `${base}?path=${root}/d.json` })).json()).toEqual({});
    expect((await get(`/artifacts/list?run_id=${run_id}&path=many`)).body).toEqual({
      root_uri: `mlflow-artifacts:/${root}`,
      files: [
        { path: 'many/model.bin', is_dir: false, file_size: 100_000 },
        { path: 'many/sub', is_dir: true },
      ],
    });
    const got = await app.inject({ url: `${base}/${root}/many/model.bin` });
    expect(got.rawPayload.equals(bytes)).toBe(true);
    expect(got.headers['content-disposition']).toContain('attachment');
    expect(got.headers['x-content-type-options']).toBe('nosniff');
    const missing = await app.inject({ url: `${base}/${root}/model` });
    expect(missing.statusCode).toBe(404);
    expect(missing.json().error_code).toBe('RESOURCE_DOES_NOT_EXIST');
    for (const path of ['%252e%252e/x', 'a%23b', '%2Fetc/passwd']) {
      const refused = await app.inject({ method: 'PUT', url: `${base}/${path}`, payload: 'x' });
      expect({ path, status: refused.statusCode }).toEqual({ path, status: 400 });
      expect(refused.json().message).toContain('Invalid path');
    }
    expect((await app.inject({ method: 'DELETE', url: `${base}/${root}/many` })).statusCode).toBe(200);
    expect((await get(`/artifacts/list?run_id=${run_id}&path=many`)).body.files).toBeUndefined();
    const multipart = await app.inject({
      method: 'POST',
      url: `/api/2.0/mlflow-artifacts/mpu/create/${root}/x`,
      payload: {},
    });
    expect(multipart.statusCode).toBe(501);
    expect(multipart.json().message).toMatch(
      /^Multipart upload is not supported for the current artifact repository/,
    );
  });

  it('refuses input that is nested too deep to show', async () => {
    const payload = `{"name":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    const headers = { 'content-type': 'application/json' };
    const refused = await app.inject({
      method: 'POST',
      url: '/api/2.0/mlflow/experiments/create',
      headers,
      payload,
    });
    expect(refused.statusCode).toBe(413);
    expect(refused.json().message).toMatch(/1,?000/);
  });
});
