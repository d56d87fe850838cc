import { readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDesiredSource } from '../../../tests/support/desired-source.ts';
import { loopOverInputModel } from '../../../tests/support/hostile-models.ts';
import {
  forestModel,
  irisModel,
  lineModel,
  SETOSA,
  SETOSA_ROW,
  withExample,
} from '../../../tests/support/served-models.ts';
import { tempDir } from '../../../tests/support/temp-dir.ts';
import { startTestModelServer, type TestModelServer } from '../../../tests/support/test-model-server.ts';
import { spawnModelWorker, type WorkerThread } from './run-in-worker.ts';

const IN_WORKER = { createMs: 0, rowMicros: 0 };

function modelFiles(cacheDir: string): string[] {
  return readdirSync(join(cacheDir, 'models')).filter((name) => name.endsWith('.onnx'));
}

async function answerOf(server: TestModelServer): Promise<{ version: string; prediction: unknown }> {
  const { body } = await server.post('/predict', { features: [1, 1] });
  return { version: body.model_version, prediction: body.prediction };
}

describe('following what is desired', () => {
  it('is not ready before it knows what to serve, ready with nothing to serve, and with every model warm', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    const unknown = await server.get('/ready');
    expect(unknown.status).toBe(503);
    expect(unknown.headers.get('retry-after')).toBe('1');
    expect(unknown.body).toMatchObject({ status: 'starting', model_loaded: false, models: [] });
    expect((await server.post('/predict', { features: [1] })).status).toBe(503);
    expect((await server.post('/models/line/predict', { features: [1] })).status).toBe(503);

    source.desire([]);
    await server.until(({ status }) => status === 200);
    expect((await server.get('/ready')).body).toEqual({ status: 'ready', model_loaded: false, models: [] });
    expect((await server.post('/predict', { features: [1] })).body.message).toContain('No model is served');

    source.desire([{ name: 'line', champion: source.version('1', lineModel()) }]);
    await server.serves('line', '1');
    expect((await server.get('/ready')).body).toMatchObject({ status: 'ready', model_loaded: true });
  });

  it('is not ready while the first model loads, and answers 503 with Retry-After for it', async () => {
    const source = createDesiredSource();
    const gate = Promise.withResolvers<void>();
    source.holdFetches(gate.promise);
    source.desire([{ name: 'line', champion: source.version('1', lineModel()) }]);
    const server = await startTestModelServer({ source });
    await server.until(({ body }) => body.status === 'loading');
    const early = await server.post('/predict', { features: [1, 1] });
    expect(early.status).toBe(503);
    expect(early.headers.get('retry-after')).toBe('1');
    expect(early.body.message).toContain('version 1 is not ready: it is being loaded');
    gate.resolve();
    await server.ready;
    expect((await server.post('/predict', { features: [1, 1] })).status).toBe(200);
  });

  it('stays ready when another model comes that cannot be loaded, and says why that one does not answer', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    const line = { name: 'line', champion: source.version('1', lineModel()) };
    source.desire([line]);
    await server.ready;
    source.desire([line, { name: 'broken', champion: source.version('1', new Uint8Array([1, 2, 3])) }]);
    await server.until(({ body }) => body.models[0]?.problem !== undefined);
    const { status, body } = await server.get('/ready');
    expect(status).toBe(200);
    expect(body.models[0]).toMatchObject({ name: 'broken', desired_version: '1' });
    const refused = await server.post('/models/broken/predict', { features: [1] });
    expect(refused.status).toBe(503);
    expect(refused.body.message).toContain(body.models[0].problem);
    expect((await server.post('/models/line/predict', { features: [1, 1] })).status).toBe(200);
  });

  it('moves to a new version, keeps its predecessor warm, and goes back without loading anything', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    const [one, two, three] = [1, 2, 3].map((n) => source.version(String(n), lineModel(n)));
    source.desire([{ name: 'line', champion: one! }]);
    await server.ready;
    expect(await answerOf(server)).toEqual({ version: '1', prediction: 0 });
    source.desire([{ name: 'line', champion: two!, previous: one! }]);
    await server.serves('line', '2');
    expect(await answerOf(server)).toEqual({ version: '2', prediction: 1 });
    source.desire([{ name: 'line', champion: three!, previous: two! }]);
    await server.serves('line', '3');
    await expect.poll(() => modelFiles(server.cacheDir)).toHaveLength(2);

    const loads = server.log.filter(({ msg }) => msg === 'model version serves').length;
    source.desire([{ name: 'line', champion: two!, previous: three! }]);
    await server.serves('line', '2');
    expect(await answerOf(server)).toEqual({ version: '2', prediction: 1 });
    expect(source.fetched).toEqual(['line/1', 'line/2', 'line/3']);
    expect(server.log.filter(({ msg }) => msg === 'model version serves').length).toBe(loads + 1);
    expect(server.log.some(({ msg, version }) => msg === 'model version released' && version === '1')).toBe(
      true,
    );
  });

  it('forgets a model that is not desired any more', async () => {
    const server = await startTestModelServer();
    server.source.desire([{ name: 'line', champion: server.source.version('1', lineModel()) }]);
    await server.ready;
    server.source.desire([]);
    await server.until(({ body }) => body.models.length === 0);
    expect((await server.post('/models/line/predict', { features: [1, 1] })).status).toBe(404);
    await expect.poll(() => modelFiles(server.cacheDir)).toEqual([]);
  });
});

describe('a version that cannot be loaded', () => {
  const WRONG: [string, () => Promise<[Uint8Array, Uint8Array?]>, RegExp][] = [
    ['bytes that are no model', async () => [new Uint8Array(100).fill(7)], /./],
    [
      'other bytes than the registry says',
      async () => [lineModel(9), lineModel(8)],
      /the bytes fetched are not those of the registry: .*sha256/,
    ],
    [
      'a model that does not answer as it did where it was made',
      async () => {
        const honest = await withExample(lineModel(0), [{ a: 1, b: 1 }]);
        const other = lineModel(5);
        // The example of one model behind the graph of another.
        const example = honest.subarray(lineModel(0).byteLength);
        const forged = new Uint8Array(other.byteLength + example.byteLength);
        forged.set(other);
        forged.set(example, other.byteLength);
        return [forged];
      },
      /recorded example differs.*4 instead of -1/,
    ],
  ];

  it.each(WRONG)('%s: the old version serves on, and why is told', async (_what, make, reason) => {
    const server = await startTestModelServer();
    const { source } = server;
    const one = source.version('1', lineModel());
    source.desire([{ name: 'line', champion: one }]);
    await server.ready;
    const [bytes, claimed] = await make();
    source.desire([{ name: 'line', champion: source.version('2', bytes, claimed ?? bytes), previous: one }]);
    await server.until(({ body }) => body.models[0].problem !== undefined);
    const { status, body } = await server.get('/ready');
    expect(status).toBe(200);
    expect(body.models).toEqual([
      { name: 'line', version: '1', desired_version: '2', problem: expect.stringMatching(reason) },
    ]);
    expect((await answerOf(server)).version).toBe('1');
    const { body: metrics } = await server.get('/metrics');
    expect(metrics).toMatch(/model_load_failures_total\{model="line",version="2"\} [1-9]/);
    expect(server.log.some(({ level, model }) => level === 'error' && model === 'line')).toBe(true);

    source.desire([{ name: 'line', champion: source.version('3', lineModel(3)), previous: one }]);
    await server.serves('line', '3');
  });

  it('is tried again, and serves once it can be had', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    const bytes = lineModel(2);
    source.desire([{ name: 'line', champion: source.version('1', new Uint8Array([0]), bytes) }]);
    await server.until(({ body }) => body.models[0]?.problem !== undefined);
    source.version('1', bytes);
    await server.serves('line', '1');
    expect((await server.get('/ready')).body.models[0]).not.toHaveProperty('problem');
  });

  it('leaves the version alone that serves when the new champion is none that can be served', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    source.desire([{ name: 'line', champion: source.version('1', lineModel()) }]);
    await server.ready;
    source.desire([], [{ name: 'line', version: '2', reason: 'it is no ONNX model' }]);
    await server.until(({ body }) => body.models[0].problem === 'it is no ONNX model');
    expect((await answerOf(server)).version).toBe('1');
  });
});

describe('a model in a worker', () => {
  it('answers as it does on the main thread', async () => {
    const [inline, worker] = await Promise.all([
      startTestModelServer(),
      startTestModelServer({ inlineLimits: IN_WORKER }),
    ]);
    for (const { source } of [inline, worker]) {
      source.desire([{ name: 'iris', champion: source.version('1', irisModel()) }]);
    }
    await Promise.all([inline.ready, worker.ready]);
    expect((await worker.get('/model/info')).body.runs_in).toBe('worker-thread');
    expect((await inline.get('/model/info')).body.runs_in).toBe('main-thread');
    const rows = [SETOSA, [6.3, 3.3, 6, 2.5], [5.9, 3, 4.2, 1.5]];
    const answers = await Promise.all([inline, worker].map((at) => at.post('/predict', { instances: rows })));
    const [expected, actual] = answers.map(({ body }) =>
      body.predictions.map((one: any) => one.probabilities),
    );
    expect(actual).toEqual(expected);
  });

  it('is loaded again when its thread dies; 503 until then, and other models serve on', async () => {
    const threads: WorkerThread[] = [];
    const server = await startTestModelServer({
      inlineLimits: IN_WORKER,
      spawnWorker(name) {
        const thread = spawnModelWorker(name);
        threads.push(thread);
        return thread;
      },
    });
    const { source } = server;
    source.desire([{ name: 'line', champion: source.version('1', lineModel()) }]);
    await server.ready;
    await threads[0]?.terminate();
    await server.serves('line', '1');
    await expect.poll(async () => (await server.post('/predict', { features: [1, 1] })).status).toBe(200);
    expect(threads).toHaveLength(2);
    expect(source.fetched).toEqual(['line/1']);
  });
});

describe('the cache', () => {
  it('serves after a restart without the control plane, without a worker, and without fetching', async () => {
    const source = createDesiredSource();
    const cacheDir = tempDir();
    source.desire([
      {
        name: 'iris',
        champion: source.version('2', await withExample(irisModel(), [SETOSA_ROW])),
        previous: source.version('1', irisModel(1)),
      },
    ]);
    const first = await startTestModelServer({ source, cacheDir });
    await first.until(({ body }) => body.models[0]?.previous === '1');
    await first.stop();

    source.goAway();
    const second = await startTestModelServer({
      source,
      cacheDir,
      spawnWorker: () => {
        throw new Error('no worker is needed');
      },
    });
    await second.ready;
    await second.until(({ body }) => body.models[0]?.previous === '1');
    const { body } = await second.post('/predict', { features: SETOSA });
    expect(body).toMatchObject({ prediction: 'setosa', model_version: '2' });
    expect(source.fetched).toEqual(['iris/2', 'iris/1']);
    expect(second.log.some(({ msg }) => msg.includes('the control plane does not answer'))).toBe(true);
  });

  it('starts with the version that served, not with one that was still to be loaded', async () => {
    const source = createDesiredSource();
    const cacheDir = tempDir();
    const one = source.version('1', lineModel(1));
    source.desire([{ name: 'line', champion: one }]);
    const first = await startTestModelServer({ source, cacheDir });
    await first.ready;
    source.desire([{ name: 'line', champion: source.version('2', new Uint8Array([9])), previous: one }]);
    await first.until(({ body }) => body.models[0].problem !== undefined);
    await first.stop();
    source.goAway();
    const second = await startTestModelServer({ source, cacheDir });
    await second.ready;
    expect((await answerOf(second)).version).toBe('1');
  });

  it.each([
    ['cut short', (path: string) => truncateSync(path, 50)],
    ['changed', (path: string) => writeFileSync(path, readFileSync(path).fill(1, 20, 30))],
  ])('drops a copy that was %s and fetches it again', async (_what, damage) => {
    const source = createDesiredSource();
    const cacheDir = tempDir();
    source.desire([{ name: 'line', champion: source.version('1', lineModel(1)) }]);
    const first = await startTestModelServer({ source, cacheDir });
    await first.ready;
    await first.stop();
    const [file] = modelFiles(cacheDir);
    damage(join(cacheDir, 'models', file as string));

    const second = await startTestModelServer({ source, cacheDir });
    await second.ready;
    expect(await answerOf(second)).toEqual({ version: '1', prediction: 0 });
    expect(source.fetched).toEqual(['line/1', 'line/1']);
    expect(
      second.log.some(({ msg, reason }) => msg.includes('fetched again') && /corrupt/.test(reason)),
    ).toBe(true);
  });

  it('asks the control plane when the kept state cannot be read, and removes what was half written', async () => {
    const source = createDesiredSource();
    const cacheDir = tempDir();
    source.desire([{ name: 'line', champion: source.version('1', lineModel(1)) }]);
    const first = await startTestModelServer({ source, cacheDir });
    await first.ready;
    await first.stop();
    writeFileSync(join(cacheDir, 'desired-state.json'), '{"revision"');
    writeFileSync(join(cacheDir, 'models', 'half.onnx.1.x.tmp'), 'x');
    const second = await startTestModelServer({ source, cacheDir });
    await second.ready;
    expect(readdirSync(join(cacheDir, 'models')).some((name) => name.endsWith('.tmp'))).toBe(false);
  });
});

describe('under load', () => {
  it('swaps and rolls back many times without a failed request, and always says which version answered', async () => {
    const server = await startTestModelServer();
    const { source } = server;
    const versions = [0, 1, 2].map((n) => source.version(String(n), lineModel(n)));
    source.desire([{ name: 'line', champion: versions[0]! }]);
    await server.ready;

    let isOver = false;
    const wrong: unknown[] = [];
    let answered = 0;
    const clients = Array.from({ length: 8 }, async () => {
      while (!isOver) {
        const { status, body } = await server.post('/predict', { features: [1, 1] });
        answered += 1;
        if (status !== 200 || body.prediction !== Number(body.model_version) - 1)
          wrong.push({ status, body });
      }
    });
    for (let swap = 1; swap <= 6; swap++) {
      const [champion, previous] = [versions[swap % 3]!, versions[(swap + 2) % 3]!];
      source.desire([{ name: 'line', champion, previous }]);
      await server.serves('line', champion.version);
      source.desire([{ name: 'line', champion: previous, previous: champion }]);
      await server.serves('line', previous.version);
    }
    isOver = true;
    await Promise.all(clients);
    expect(wrong).toEqual([]);
    expect(answered).toBeGreaterThan(100);
  });
});

describe('stopping', () => {
  it('turns unready first, finishes what it has, and then refuses connections', async () => {
    const server = await startTestModelServer({ inlineLimits: IN_WORKER, unreadyMs: 300 });
    const { source } = server;
    source.desire([
      { name: 'forest', champion: source.version('1', forestModel({ trees: 100, depth: 6, features: 4 })) },
    ]);
    await server.ready;
    const instances = Array.from({ length: 5000 }, () => [0.1, 0.2, 0.3, 0.4]);
    const inFlight = server.post('/predict', { instances });
    const stopped = server.stop();
    const ready = await server.get('/ready');
    expect(ready.status).toBe(503);
    expect(ready.body.status).toBe('draining');
    const { status, body } = await inFlight;
    expect(status).toBe(200);
    expect(body.predictions).toHaveLength(5000);
    await stopped;
    await expect(fetch(`${server.url}/health`)).rejects.toThrow('fetch failed');
    await server.stop();
  });
});

it('keeps a fast model with a loop in its worker, after a restart too, where a run that never ends is given up', async () => {
  const cacheDir = tempDir();
  const source = createDesiredSource();
  source.desire([{ name: 'loop', champion: source.version('1', loopOverInputModel()) }]);
  const inlineLimits = { createMs: 60_000, rowMicros: 60_000_000 };
  const first = await startTestModelServer({ source, cacheDir, inlineLimits });
  await first.ready;
  await first.stop();
  const server = await startTestModelServer({ source, cacheDir, inlineLimits, runLimitMs: 1000 });
  await server.ready;
  expect((await server.get('/model/info')).body.runs_in).toBe('worker-thread');
  // Ends by itself after some seconds, so that the thread is not left behind.
  expect((await server.post('/predict', { instances: [[3e7]] })).status).toBe(503);
  expect((await server.get('/health')).status).toBe(200);
});
