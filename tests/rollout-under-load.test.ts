import { join } from 'node:path';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { RunningModelServer } from '../src/serving/index.ts';
import { startModelServerFromOptions } from '../src/start-model-server.ts';
import { type RunningServer, startServer } from '../src/start-server.ts';
import { silentLogger, tempDir } from './support/index.ts';
import { getJson, postJson } from './support/spawn-platform.ts';
import { tinyClassifier } from './support/tiny-model.ts';

const ENV = { TIDEMILL_LOG_LEVEL: 'silent', TIDEMILL_REPORT_MS: '100' };
/** An answer of the loop may need a tick of a second, and a machine that does other things too. */
const WAIT = { timeout: 60_000, interval: 100 };

/** What the world does: yes where a > b, mostly. */
const truth = (a: number, b: number, turn: number) => {
  const isNoise = turn % 10 === 0;
  return a > b !== isNoise ? 'yes' : 'no';
};
const good = () => tinyClassifier({ weights: [3, -3] });
/** What a model learns from shuffled labels: nothing, and that with some confidence. */
const shuffled = () => tinyClassifier({ weights: [-0.6, -1.1], bias: 0.8 });

let dataDir: string;
let server: RunningServer;
let models: RunningModelServer;

async function startControlPlane(port = 0): Promise<void> {
  server = await startServer({
    dataDir,
    host: '127.0.0.1',
    port,
    env: ENV,
    version: '0',
    logger: silentLogger,
  });
}

async function startModels(port = 0): Promise<void> {
  models = await startModelServerFromOptions({
    controlPlaneUrl: server.url,
    cacheDir: join(dataDir, 'serving'),
    host: '127.0.0.1',
    port,
    env: ENV,
    version: '0',
  });
}

beforeEach(async () => {
  dataDir = tempDir();
  await startControlPlane();
  await startModels();
});

afterEach(async () => {
  await models.stop();
  await server.stop();
});

const api = (path: string) => `${server.url}/api/v1/models/m${path}`;

/** Registers versions of `m`; the first serves. A project says how the others are rolled out. */
async function prepare(versions: Uint8Array[], rollout: object): Promise<void> {
  const mlflow = (path: string, body: object) => postJson(`${server.url}/api/2.0/mlflow${path}`, body);
  await mlflow('/registered-models/create', { name: 'm' });
  for (const onnx of versions) {
    const { run } = (await mlflow('/runs/create', { experiment_id: '0' })).body;
    const root = `0/${run.info.run_id}/artifacts`;
    await fetch(`${server.url}/api/2.0/mlflow-artifacts/artifacts/${root}/model/model.onnx`, {
      method: 'PUT',
      body: Buffer.from(onnx),
    });
    const source = `mlflow-artifacts:/${root}/model`;
    await mlflow('/model-versions/create', { name: 'm', source, run_id: run.info.run_id });
  }
  expect((await postJson(api('/promote'), { version: '1' })).status).toBe(200);
  await fetch(`${server.url}/api/v1/datasets/rows/versions?filename=rows.csv`, {
    method: 'POST',
    headers: { 'content-type': 'application/octet-stream' },
    body: 'a,b,answer\n1,2,no\n2,1,yes\n',
  });
  const said = await fetch(api('/pipeline'), {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: { dataset: 'rows', target: 'answer' }, gate: {}, rollout }),
  });
  expect(said.status, await said.clone().text()).toBe(200);
  await vi.waitFor(async () => {
    expect((await getJson(`${models.url}/ready`)).body.model_loaded).toBe(true);
  }, WAIT);
}

/** Callers that never stop, each telling the truth about what it was answered; counts by variant and status. */
function keepAsking(connections: number) {
  const answered: Record<string, number> = {};
  const failures: string[] = [];
  const stopping = new AbortController();
  let turn = 0;
  async function askOn(): Promise<void> {
    while (!stopping.signal.aborted) {
      const i = ++turn;
      const a = ((i * 37) % 100) / 25 - 2;
      const b = ((i * 61) % 100) / 25 - 2;
      try {
        const { status, body } = await postJson(`${models.url}/predict`, { features: { a, b } });
        if (status !== 200) failures.push(`${status} ${JSON.stringify(body)}`);
        else {
          const who = `${body.variant} ${body.model_version}`;
          answered[who] = (answered[who] ?? 0) + 1;
          const label = truth(a, b, i);
          await postJson(`${models.url}/models/m/feedback`, { prediction_id: body.prediction_id, label });
        }
      } catch (error) {
        failures.push(String(error));
      }
    }
  }
  const asking = Promise.all(Array.from({ length: connections }, askOn));
  return {
    answered,
    failures,
    async stop() {
      stopping.abort();
      await asking;
    },
  };
}

const current = async () => (await getJson(api('/rollouts/current'))).body;

it('undoes a canary that learned from shuffled labels by itself, by the labels that come', async () => {
  await prepare([good(), shuffled()], { canary: [50, 100], stepFor: '1h', minRequests: 50 });
  expect((await postJson(api('/promote'), { version: '2' })).status).toBe(409);
  const callers = keepAsking(8);
  const forced = await postJson(api('/promote'), { version: '2', force: true, reason: 'a drill' });
  expect(forced.body).toMatchObject({ outcome: 'rollout', decision: { verdict: 'forced' } });
  await vi.waitFor(async () => expect((await current()).state).toBe('undone'), WAIT);
  const rollout = await current();
  expect(rollout).toMatchObject({ weight: 0, note: expect.stringContaining('labels: log_loss') });
  expect(rollout.decisions[0]).toMatchObject({ actor: 'tidemill', kind: 'canary', outcome: 'undone' });
  const seen = callers.answered['canary 2'] ?? 0;
  // At once: nothing reaches it once the model server has heard, and nobody meets an error.
  await vi.waitFor(async () => {
    const { body } = await getJson(`${models.url}/models/m`);
    expect(body.rollout).toBeUndefined();
  }, WAIT);
  const after = callers.answered['canary 2'] ?? 0;
  const before = callers.answered['champion 1'] ?? 0;
  await vi.waitFor(() => expect(callers.answered['champion 1']).toBeGreaterThan(before + 50), WAIT);
  expect(callers.answered['canary 2']).toBeLessThanOrEqual(after + 8);
  await callers.stop();
  expect(callers.failures).toEqual([]);
  expect(seen).toBeGreaterThan(20);
  expect((await getJson(api(''))).body.champion.version).toBe('1');
  expect((await getJson(`${server.url}/api/v1/audit/verify`)).body.ok).toBe(true);
}, 120_000);

it('goes on with a rollout after the control plane was away and the model server began anew', async () => {
  await prepare([good(), tinyClassifier({ weights: [3, -3], bias: -0.1 })], {
    canary: [50, 100],
    stepFor: '1s',
    minRequests: 2_000_000,
    watch: '1h',
  });
  const forced = await postJson(api('/promote'), {
    version: '2',
    force: true,
    reason: 'no rows to compare on',
  });
  expect(forced.body.outcome).toBe('rollout');
  const callers = keepAsking(4);
  const canary = () => callers.answered['canary 2'] ?? 0;
  await vi.waitFor(() => expect(canary()).toBeGreaterThan(20), WAIT);
  const { port } = new URL(server.url);
  await server.stop();
  const before = canary();
  await vi.waitFor(() => expect(canary()).toBeGreaterThan(before + 20), WAIT);
  await callers.stop();
  expect(callers.failures).toEqual([]);
  // A model server that begins anew while the control plane is away knows the rollout from its cache.
  await models.stop();
  await startModels();
  await models.ready;
  const more = keepAsking(4);
  await vi.waitFor(() => expect(more.answered['canary 2'] ?? 0).toBeGreaterThan(20), WAIT);
  await startControlPlane(Number(port));
  expect(['canary', 'paused']).toContain((await current()).state);
  const rolledBack = await postJson(api('/rollback'), { reason: 'enough' });
  expect(rolledBack.body).toMatchObject({ to: '1', aborted: forced.body.rollout });
  await vi.waitFor(async () => {
    expect((await getJson(`${models.url}/models/m`)).body.rollout).toBeUndefined();
  }, WAIT);
  await more.stop();
  expect(more.failures).toEqual([]);
}, 180_000);

it('takes a rollback during a rollout in less than two seconds, under load', async () => {
  await prepare([good(), tinyClassifier({ weights: [3, -3], bias: -0.1 })], {
    canary: [50, 100],
    stepFor: '1h',
  });
  await postJson(api('/promote'), { version: '2', force: true, reason: 'no rows to compare on' });
  const callers = keepAsking(8);
  await vi.waitFor(() => expect(callers.answered['canary 2'] ?? 0).toBeGreaterThan(20), WAIT);
  const begun = performance.now();
  await postJson(api('/rollback'), { reason: 'drill' });
  await vi.waitFor(
    async () => expect((await getJson(`${models.url}/models/m`)).body.rollout).toBeUndefined(),
    { timeout: 30_000, interval: 5 },
  );
  const ms = performance.now() - begun;
  await callers.stop();
  expect(callers.failures).toEqual([]);
  expect(ms).toBeLessThan(2000);
}, 120_000);
