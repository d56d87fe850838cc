import type { ChildProcess } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { readdirSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { createPostgresDatabase, silentLogger, tempDir } from '../tests/support/index.ts';
import { loadProject } from './pipelines/index.ts';
import { type App, createLogger } from './platform/index.ts';
import { type ServerOptions, startServer } from './start-server.ts';

const start = (options: Partial<ServerOptions> = {}) =>
  startServer({
    dataDir: join(tempDir(), 'data'),
    host: '127.0.0.1',
    port: 0,
    env: {},
    version: '1.2.3',
    logger: silentLogger,
    ...options,
  });

async function getJson(url: string): Promise<{ status: number; body: any }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}

/** Sends a path as it is: `fetch` would resolve its dots. */
function getRaw(url: string, path: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { path, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

describe('the control plane', () => {
  it('refuses a folder whose artifacts are there and whose database is not', async () => {
    const dataDir = join(tempDir(), 'data');
    const first = await start({ dataDir });
    const url = `${first.url}/api/2.0/mlflow-artifacts/artifacts/0/notes/a.txt`;
    expect((await fetch(url, { method: 'PUT', body: 'kept' })).status).toBe(200);
    await first.stop();
    await rm(join(dataDir, 'tidemill.db'));
    await expect(start({ dataDir })).rejects.toThrow(/tidemill\.db is missing.*restore/s);
  });

  it('answers health, readiness and status, and keeps its data over a restart', async () => {
    const dataDir = join(tempDir(), 'data');
    const server = await start({ dataDir, modelServers: () => ['http://127.0.0.1:7071'] });
    expect(await (await fetch(`${server.url}/health`)).text()).toBe('OK');
    expect(await getJson(`${server.url}/ready`)).toEqual({ status: 200, body: { status: 'ready' } });
    const index = await getJson(`${server.url}/`);
    expect(index).toMatchObject({ status: 200, body: { name: 'Tidemill control plane', version: '1.2.3' } });
    for (const endpoint of Object.keys(index.body.endpoints)) {
      expect((await fetch(server.url + endpoint.replace('GET ', ''))).status, endpoint).toBe(200);
    }
    const created = await fetch(`${server.url}/ajax-api/3.0/mlflow/experiments/create`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'kept' }),
    });
    expect(await created.json()).toEqual({ experiment_id: '1' });
    await expect(start({ dataDir })).rejects.toThrow(String(process.pid));
    await Promise.all([server.stop(), server.stop()]);

    const again = await start({ dataDir });
    const { body } = await getJson(`${again.url}/api/v1/status`);
    expect(body).toEqual({
      version: '1.2.3',
      database: { dialect: 'sqlite' },
      data_dir: dataDir,
      uptime_ms: expect.any(Number),
      counts: {
        experiments: 2,
        runs: 0,
        models: 0,
        versions: 0,
        datasets: 0,
        open_alarms: 0,
        paused_rollouts: 0,
        unwatched_models: 0,
      },
      models: [],
      model_servers: [],
    });
    await again.stop();
  });

  it('describes every route of every slice in one document', async () => {
    const server = await start();
    const { paths } = (await getJson(`${server.url}/openapi.json`)).body as { paths: Record<string, object> };
    for (const path of [
      '/api/2.0/mlflow/runs/log-metric',
      '/api/2.0/mlflow-artifacts/artifacts/{path}',
      '/api/2.0/mlflow/model-versions/create',
      '/api/v1/models/{name}/promote',
      '/api/v1/models/{name}/versions/{version}/model',
      '/api/v1/serving/desired-state',
      '/api/v1/datasets/{name}/rows',
      '/api/v1/audit/verify',
      '/api/v1/status',
    ]) {
      expect(Object.keys(paths)).toContain(path);
    }
    await server.stop();
  });

  it('lets no path lead out of the artifacts', async () => {
    const server = await start();
    for (const path of [
      '../../tidemill.db',
      '%2e%2e/%2e%2e/tidemill.db',
      '..%2f..%2ftidemill.db',
      '0/..%252f..%252fx',
      '/etc/passwd',
    ]) {
      expect({
        path,
        status: await getRaw(server.url, `/api/2.0/mlflow-artifacts/artifacts/${path}`),
      }).toEqual({ path, status: 400 });
    }
    await server.stop();
  });

  it('ends a waiting question for the desired state when it stops', async () => {
    const server = await start();
    const { headers } = await fetch(`${server.url}/api/v1/serving/desired-state`);
    const waiting = fetch(`${server.url}/api/v1/serving/desired-state?wait_ms=30000`, {
      headers: { 'if-none-match': headers.get('etag') ?? '' },
    });
    // Another answer on a connection of its own shows that the question before it was read.
    await fetch(`${server.url}/health`);
    await server.stop();
    expect((await waiting).status).toBe(304);
  });

  it('has a step process warm as soon as there are models to retrain, and none without', async () => {
    const born: ChildProcess[] = [];
    const note = (message: unknown) => born.push((message as { process: ChildProcess }).process);
    subscribe('child_process', note);
    onTestFinished(() => void unsubscribe('child_process', note));
    const stepProcesses = () =>
      born.filter(({ spawnargs }) => spawnargs.some((argument) => argument.includes('step-process')));
    const dataDir = join(tempDir(), 'data');
    const empty = await start({ dataDir });
    const post = (path: string, body: object) =>
      fetch(`${empty.url}/api/2.0/mlflow/${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    // With a version there is nothing to train at the start.
    expect((await post('registered-models/create', { name: 'm' })).status).toBe(200);
    const source = 'mlflow-artifacts:/1/r/artifacts/model';
    expect((await post('model-versions/create', { name: 'm', source })).status).toBe(200);
    await empty.stop();
    expect(stepProcesses()).toEqual([]);
    const folder = tempDir();
    writeFileSync(join(folder, 'rows.csv'), 'a,y\n1,0\n2,1\n');
    const models = { m: { data: { path: 'rows.csv', target: 'y' } } };
    writeFileSync(join(folder, 'tidemill.config.json'), JSON.stringify({ models }));
    const project = await loadProject(folder, { door: new URL('./index.ts', import.meta.url) });
    const server = await start({ dataDir, project: project! });
    expect(stepProcesses()).toHaveLength(1);
    expect((await getJson(`${server.url}/api/v1/jobs`)).body.jobs).toEqual([]);
    await server.stop();
    expect(
      stepProcesses().every(({ exitCode, signalCode }) => exitCode !== null || signalCode !== null),
    ).toBe(true);
  });

  it('closes the app again when it cannot listen', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve));
    const closed: string[] = [];
    const onCreated = (message: unknown) => {
      const { fastify } = message as { fastify: App };
      fastify.addHook('onClose', async () => {
        closed.push('app');
      });
    };
    subscribe('fastify.initialization', onCreated);
    const lines: string[] = [];
    const logger = createLogger({
      level: 'warn',
      name: 'test',
      destination: { write: (line) => void lines.push(line) },
    });
    const dataDir = join(tempDir(), 'data');
    try {
      const { port } = other.address() as AddressInfo;
      await expect(start({ dataDir, port, logger })).rejects.toThrow(`Port ${port} on 127.0.0.1 is in use`);
    } finally {
      unsubscribe('fastify.initialization', onCreated);
      other.close();
    }
    expect(closed).toEqual(['app']);
    // What had begun has ended, and nothing is said but what was wrong.
    expect(readdirSync(join(dataDir, 'work', 'log'))).toEqual([]);
    expect(lines).toEqual([]);
  });

  it('takes the names of allowed hosts without the spaces around them', async () => {
    const server = await start({ env: { TIDEMILL_ALLOWED_HOSTS: 'one.example, two.example ,' } });
    const statusAs = (host: string) =>
      new Promise<number | undefined>((resolve, reject) => {
        request(`${server.url}/health`, { headers: { host }, agent: false }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .on('error', reject)
          .end();
      });
    expect(await statusAs('two.example')).toBe(200);
    expect(await statusAs('three.example')).not.toBe(200);
    await server.stop();
  });

  it.skipIf('problem' in inject('postgresServer'))('runs on PostgreSQL', async () => {
    const { url, drop } = await createPostgresDatabase();
    const server = await start({ databaseUrl: url });
    const { body } = await getJson(`${server.url}/api/v1/status`);
    expect(body).toMatchObject({ database: { dialect: 'postgres' }, counts: { experiments: 1 } });
    await server.stop();
    await drop();
  });
});
