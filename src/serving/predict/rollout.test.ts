import { describe, expect, it } from 'vitest';
import { createLogSink } from '../../../tests/support/log-sink.ts';
import { lineModel } from '../../../tests/support/served-models.ts';
import { startTestModelServer, type TestModelServer } from '../../../tests/support/test-model-server.ts';
import { OnnxGraphBuilder, SIGNATURE_KEY } from '../../models/index.ts';
import type { DesiredRollout } from '../contract.ts';
import { spawnModelWorker, type WorkerThread } from '../versions/run-in-worker.ts';
import { placeOfKey } from './split-traffic.ts';

/** Takes `b` of 1 only: a value of 13 makes it fail while it runs. */
function moodyModel(): Uint8Array {
  const graph = new OnnxGraphBuilder();
  graph.input('numeric', 'float32', ['rows', 2]);
  graph.initializer('columns', 'int64', [1], [1n]);
  graph.initializer('table', 'float32', [4, 1], [10, 11, 12, 13]);
  const picked = graph.node('Gather', ['numeric', 'columns'], 'picked', { axis: { int: 1 } });
  graph.initializer('shape', 'int64', [1], [-1n]);
  const flat = graph.node('Reshape', [picked, 'shape'], 'flat');
  const places = graph.node('Cast', [flat], 'places', { to: { int: 7 } });
  graph.node('Gather', ['table', places], 'value', { axis: { int: 0 } });
  graph.output('value', 'float32', ['rows', 1]);
  const signature = {
    columns: ['a', 'b'].map((name) => ({ name, type: 'double', nullable: false })),
    inputs: [{ name: 'numeric', elementType: 'float32', columns: ['a', 'b'] }],
    output: { task: 'regression', target: 'y', value: 'value' },
  };
  return graph.encode({ metadata: { [SIGNATURE_KEY]: JSON.stringify(signature) } });
}

const ROW = { a: 1, b: 1 };

async function serve(
  rollout: Partial<Omit<DesiredRollout, 'candidate'>> & { candidate?: Uint8Array },
  options: Parameters<typeof startTestModelServer>[0] = {},
) {
  const sink = createLogSink();
  const server = await startTestModelServer({ ...sink, reportMs: 10, ...options });
  const { source } = server;
  const champion = source.version('1', lineModel(0));
  const { candidate: bytes, ...rest } = rollout;
  const candidate = source.version('2', bytes ?? lineModel(100));
  const desire = (more: Partial<DesiredRollout> = {}) =>
    source.desire([
      {
        name: 'line',
        champion,
        rollout: { id: 'r', candidate, mode: 'canary', weight: 0.5, ...rest, ...more },
      },
    ]);
  desire();
  await server.ready;
  return { server, sink, desire, champion, candidate };
}

const rolloutOf = async (server: TestModelServer) => (await server.get('/models')).body.models[0].rollout;
const isWarm = (server: TestModelServer) =>
  server.until(({ body }) => body.models[0].rollout?.is_warm === true);
const predict = async (server: TestModelServer, headers = {}, row: object = ROW) =>
  (await server.post('/predict', { features: row }, headers)).body;

describe('a canary', () => {
  it('answers its share, and each caller always meets the same side while the weight grows', async () => {
    const { server, desire } = await serve({ weight: 0.3, sticky_header: 'x-user' });
    await isWarm(server);
    const users = Array.from({ length: 200 }, (_, i) => `user-${i}`);
    const sides = async (weight: number) => {
      const met = new Map<string, string>();
      for (const user of users) {
        const answers = [
          await predict(server, { 'x-user': user }),
          await predict(server, { 'x-user': user }),
        ];
        expect(answers[0].model_version).toBe(answers[1].model_version);
        const { model_version: version, variant, prediction } = answers[0];
        expect([version, variant, prediction]).toEqual(
          placeOfKey('r', user) < weight ? ['2', 'canary', 99] : ['1', 'champion', -1],
        );
        met.set(user, variant);
      }
      return met;
    };
    const before = await sides(0.3);
    desire({ weight: 0.6 });
    await server.until(({ body }) => body.models[0].rollout.weight === 0.6);
    const after = await sides(0.6);
    for (const [user, variant] of before) if (variant === 'canary') expect(after.get(user)).toBe('canary');
    expect(server.source.fetched).toEqual(['line/1', 'line/2']);
  });

  it('draws row by row where the key is a column, and answers in the order of the rows', async () => {
    const { server, sink } = await serve({ sticky_column: 'user' });
    await isWarm(server);
    const instances = Array.from({ length: 50 }, (_, i) => ({ a: i, b: 0, user: `u${i}` }));
    const { body } = await server.post('/predict', { instances });
    for (const [i, { prediction, variant }] of body.predictions.entries()) {
      const isIn = placeOfKey('r', `u${i}`) < 0.5;
      expect([variant, prediction]).toEqual(isIn ? ['canary', 2 * i + 100] : ['champion', 2 * i]);
    }
    await sink.until(() => expect(sink.predictions()).toHaveLength(50));
    for (const { id, k, f, var: variant } of sink.predictions()) {
      expect(k).toBe(f['user']);
      expect(body.predictions.find((one: any) => one.prediction_id === id).variant).toBe(variant);
    }
  });

  it('is drawn at random without a key', async () => {
    let drawn = 0.4;
    const { server } = await serve({ weight: 0.5, sticky_header: 'x-user' }, { draw: () => drawn });
    await isWarm(server);
    expect((await predict(server)).variant).toBe('canary');
    drawn = 0.6;
    expect((await predict(server)).variant).toBe('champion');
  });

  it('that fails on a request leaves it to the champion, and the failure is counted as its own', async () => {
    const { server, sink } = await serve({ candidate: moodyModel(), weight: 1 });
    await isWarm(server);
    expect(await predict(server)).toMatchObject({ variant: 'canary', prediction: 11 });
    expect(await predict(server, {}, { a: 1, b: 9 })).toMatchObject({ variant: 'champion', prediction: -25 });
    expect(await server.post('/predict', { features: { a: 1 } })).toMatchObject({ status: 400 });
    const { body } = await server.get('/metrics');
    expect(body).toContain('canary_fallbacks_total{model="line",version="2"} 1\n');
    await sink.until(() =>
      expect(sink.entries()).toMatchObject([
        { variant: 'canary', version: '2', answered: 1, failed: 1 },
        { variant: 'champion', version: '1', answered: 1, failed: 0 },
      ]),
    );
  });

  it('that cannot be loaded takes no traffic, and why is told', async () => {
    const { server } = await serve({ candidate: Buffer.from('no model'), weight: 1 });
    await server.until(({ body }) => body.models[0].rollout.problem !== undefined);
    expect(await rolloutOf(server)).toMatchObject({
      version: '2',
      mode: 'canary',
      weight: 1,
      is_warm: false,
    });
    expect((await server.get('/ready')).status).toBe(200);
    expect(await predict(server)).toMatchObject({ variant: 'champion', model_version: '1' });
    expect((await server.get('/metrics')).body).toContain(
      'model_load_failures_total{model="line",version="2"}',
    );
  });

  it('whose thread hangs does not hold the callers for longer than its share of the time limit', async () => {
    const hangs = new Set<string>();
    const { server } = await serve(
      { weight: 1 },
      {
        inlineLimits: { createMs: 0, rowMicros: 0 },
        limits: { timeoutMs: 2000 },
        spawnWorker: (name) => hanging(spawnModelWorker(name), () => hangs.has(name)),
      },
    );
    await isWarm(server);
    expect(await predict(server)).toMatchObject({ variant: 'canary' });
    hangs.add('model line/2');
    expect(await predict(server)).toMatchObject({ variant: 'champion' });
  });

  it('becomes the champion without being loaded again, and is still a warm version by its number before', async () => {
    const { server, champion, candidate } = await serve({ weight: 0 });
    await isWarm(server);
    const byNumber = await server.post('/models/line/versions/2/predict', { features: ROW });
    expect(byNumber.body).toMatchObject({ variant: 'canary', prediction: 99 });
    server.source.desire([{ name: 'line', champion: candidate, previous: champion }]);
    await server.serves('line', '2');
    expect(await predict(server)).toMatchObject({ variant: 'champion', model_version: '2' });
    expect(server.source.fetched).toEqual(['line/1', 'line/2']);
  });

  it('is warm again after a restart without the control plane', async () => {
    const { server } = await serve({ weight: 1 });
    await isWarm(server);
    await server.stop();
    server.source.goAway();
    const again = await startTestModelServer({ source: server.source, cacheDir: server.cacheDir });
    await again.until(({ body }) => body.models[0]?.rollout?.is_warm === true);
    expect(await predict(again)).toMatchObject({ variant: 'canary', model_version: '2' });
  });
});

describe('a shadow', () => {
  it('answers nobody, and logs the same rows under the same ids', async () => {
    const { server, sink } = await serve({ mode: 'shadow', weight: 1 });
    await isWarm(server);
    const { body } = await server.post('/predict', { instances: [ROW, { a: 2, b: 0 }] });
    expect(body.predictions.map((one: any) => one.variant)).toEqual(['champion', 'champion']);
    await sink.until(() => expect(sink.predictions()).toHaveLength(4));
    const of = (variant: string) => sink.predictions().filter((line) => line.var === variant);
    expect(of('shadow').map(({ id, p, v, f }) => ({ id, p, v, f }))).toEqual(
      of('champion').map(({ id, p, f }) => ({ id, p: (p as number) + 100, v: '2', f })),
    );
    await sink.until(() =>
      expect(
        sink
          .entries()
          .map(({ variant }) => variant)
          .sort(),
      ).toEqual(['champion', 'shadow']),
    );
    expect((await server.get('/metrics')).body).toMatch(/predictions_total\{[^}]*version="2"[^}]*\} 0\n/);
  });

  it('runs in a thread of its own, and is loaded anew where it is to answer', async () => {
    const spawned: string[] = [];
    const spawnWorker = (name: string) => {
      spawned.push(name);
      return spawnModelWorker(name);
    };
    const { server, desire } = await serve({ mode: 'shadow', weight: 1 }, { spawnWorker });
    await isWarm(server);
    expect(spawned).toEqual(['model line/1', 'model line/2']);
    desire({ mode: 'canary' });
    await server.until(
      ({ body }) => body.models[0].rollout.mode === 'canary' && body.models[0].rollout.is_warm,
    );
    expect(await predict(server)).toMatchObject({ variant: 'canary' });
    expect(spawned).toEqual(['model line/1', 'model line/2']);
  });

  it('that hangs neither slows nor fails an answer; what it cannot take is dropped and counted', async () => {
    let hangs = false;
    const { server } = await serve(
      { mode: 'shadow', weight: 1 },
      {
        limits: { maxQueueRows: 20, timeoutMs: 1000 },
        spawnWorker: (name) => hanging(spawnModelWorker(name), () => hangs && name === 'model line/2'),
      },
    );
    await isWarm(server);
    hangs = true;
    for (let i = 0; i < 60; i++)
      expect(await predict(server)).toMatchObject({ variant: 'champion', prediction: -1 });
    const { body } = await server.get('/metrics');
    const dropped = Number(/\nshadow_dropped_total\{[^}]*\} (\d+)/.exec(body)?.[1]);
    expect(dropped).toBeGreaterThan(20);
  });

  it('that fails is counted as failed, and the caller does not notice', async () => {
    const { server, sink } = await serve({ mode: 'shadow', weight: 1, candidate: moodyModel() });
    await isWarm(server);
    expect(await predict(server, {}, { a: 1, b: 9 })).toMatchObject({ variant: 'champion', prediction: -25 });
    await sink.until(() =>
      expect(sink.entries().find(({ variant }) => variant === 'shadow')).toMatchObject({ failed: 1 }),
    );
  });
});

/** A worker whose runs are lost while `isHanging`. */
function hanging(worker: WorkerThread, isHanging: () => boolean): WorkerThread {
  return {
    postMessage(message, transfer) {
      if (message.type === 'run' && isHanging()) return;
      worker.postMessage(message, transfer);
    },
    on: (event: 'message' | 'error' | 'exit', listener: (value: any) => void) =>
      worker.on(event as 'error', listener),
    terminate: () => worker.terminate(),
  };
}
