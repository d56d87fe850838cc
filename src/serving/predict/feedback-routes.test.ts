import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createLogSink, type LogSink } from '../../../tests/support/log-sink.ts';
import { irisModel, lineModel, SETOSA } from '../../../tests/support/served-models.ts';
import { startTestModelServer, type TestModelServer } from '../../../tests/support/test-model-server.ts';
import { diskFiles } from '../log/segment-writer.ts';

/** The lines of the labels that wait to be shipped. */
function journal(cacheDir: string): string[] {
  const files = globSync('log/*/feedback-*.ndjson', { cwd: cacheDir });
  return files.flatMap((file) => readFileSync(join(cacheDir, file), 'utf8').split('\n').slice(0, -1));
}

const ID = '0195f5a0-0000-7000-8000-000000000000';

async function serveBoth(options: Parameters<typeof startTestModelServer>[0] = {}): Promise<TestModelServer> {
  const server = await startTestModelServer({ reportMs: 10, defaultModel: 'iris', ...options });
  const { source } = server;
  source.desire([
    { name: 'iris', champion: source.version('1', irisModel()) },
    { name: 'line', champion: source.version('1', lineModel()) },
  ]);
  await server.ready;
  return server;
}

describe('POST /models/{name}/feedback', () => {
  let sink: LogSink;
  let server: TestModelServer;
  beforeAll(async () => {
    sink = createLogSink();
    server = await serveBoth({ ...sink, limits: { maxRows: 5 }, lifetime: 'file' });
  });

  it('keeps a label, or a list of them, with its event time and the machine time', async () => {
    const { body } = await server.post('/predict', { features: SETOSA });
    const before = Date.now();
    const one = await server.post('/models/iris/feedback', {
      prediction_id: body.prediction_id,
      label: 'setosa',
    });
    expect([one.status, one.body]).toEqual([200, { accepted: 1 }]);
    const many = await server.post('/models/line/feedback', [
      { prediction_id: ID, label: 1.5, timestamp: '2001-04-02T00:00:00Z' },
      { prediction_id: ID, label: -2 },
    ]);
    expect(many.body).toEqual({ accepted: 2 });
    expect((await server.post('/feedback', { prediction_id: ID, label: 'virginica' })).status).toBe(200);
    await sink.until(() => expect(sink.feedback()).toHaveLength(4));
    const [first, second, third, fourth] = sink.feedback();
    expect(first).toMatchObject({ id: body.prediction_id, m: 'iris', y: 'setosa' });
    expect(first?.at).toBeGreaterThanOrEqual(before);
    expect(second).toMatchObject({ id: ID, m: 'line', y: 1.5, t: Date.UTC(2001, 3, 2) });
    expect(third).toMatchObject({ id: ID, y: -2 });
    expect(fourth).toMatchObject({ m: 'iris', y: 'virginica' });
    expect((await server.get('/metrics')).body).toContain('feedback_total{model="line"} 2\n');
  });

  it.each([
    [
      'a label that is no class',
      'iris',
      { prediction_id: ID, label: 'rose' },
      400,
      `'label' is "rose", but the classes of "species" are "setosa", "versicolor", "virginica"`,
    ],
    ['a class of another type', 'iris', { prediction_id: ID, label: 1 }, 400, `'label' is 1`],
    [
      'text for a number',
      'line',
      { prediction_id: ID, label: '1.5' },
      400,
      `'label' is "1.5", but "y" is a number`,
    ],
    [
      'the item of a list',
      'iris',
      [
        { prediction_id: ID, label: 'setosa' },
        { prediction_id: ID, label: null },
      ],
      400,
      "Item 1: 'label' is null",
    ],
    ['no label', 'iris', { prediction_id: ID }, 422, "'label' is missing"],
    ['no id', 'iris', { label: 'setosa' }, 422, "'prediction_id' is missing"],
    ['an id that is no text', 'iris', { prediction_id: 5, label: 'setosa' }, 422, "'prediction_id' is 5"],
    [
      'a time that is none',
      'iris',
      { prediction_id: ID, label: 'setosa', timestamp: 'noon' },
      422,
      `'timestamp' is "noon"`,
    ],
    ['another form', 'iris', 'setosa', 422, 'The body is "setosa"'],
    ['an empty list', 'iris', [], 422, 'The list is empty'],
    [
      'a list that is too long',
      'iris',
      Array(6).fill({ prediction_id: ID, label: 'setosa' }),
      413,
      'one request may have 5',
    ],
    ['an unknown model', 'roses', { prediction_id: ID, label: 'setosa' }, 404, "No model 'roses'"],
  ])('refuses %s', async (_, model, body, status, message) => {
    const count = sink.feedback().length;
    const answer = await server.post(`/models/${model}/feedback`, JSON.stringify(body));
    expect(answer.status).toBe(status);
    expect(answer.body.message).toContain(message);
    expect(sink.feedback()).toHaveLength(count);
  });

  it('is in the OpenAPI document, with the classes of each model', async () => {
    const { body } = await server.get('/openapi.json');
    const [one] =
      body.paths['/models/iris/feedback'].post.requestBody.content['application/json'].schema.anyOf;
    expect(one.properties.label.enum).toEqual(['setosa', 'versicolor', 'virginica']);
    expect(body.paths['/feedback'].post).toBeDefined();
  });
});

describe('the journal of feedback', () => {
  it('is synced before the answer, once for all requests that come meanwhile', async () => {
    const syncs: (() => void)[] = [];
    const server = await serveBoth({
      segmentFiles: {
        ...diskFiles,
        sync: async (fd) => {
          await new Promise<void>((resolve) => syncs.push(resolve));
          await diskFiles.sync(fd);
        },
      },
    });
    const answered: number[] = [];
    const send = (n: number) =>
      server.post('/feedback', { prediction_id: `${ID}-${n}`, label: 'setosa' }).then(() => answered.push(n));
    const first = send(0);
    await expect.poll(() => syncs.length).toBe(1);
    const others = [1, 2, 3, 4, 5].map(send);
    await expect.poll(() => journal(server.cacheDir)).toHaveLength(6);
    expect(answered).toEqual([]);
    syncs.shift()?.();
    await first;
    await expect.poll(() => syncs.length).toBe(1);
    syncs.shift()?.();
    await Promise.all(others);
    expect(answered).toHaveLength(6);
    expect(syncs).toHaveLength(0);
  });

  it('does not acknowledge what could not be synced', async () => {
    let isBroken = true;
    const server = await serveBoth({
      segmentFiles: {
        ...diskFiles,
        sync: (fd) => (isBroken ? Promise.reject(new Error('EIO: i/o error')) : diskFiles.sync(fd)),
      },
    });
    const refused = await server.post('/feedback', { prediction_id: ID, label: 'setosa' });
    expect(refused.status).toBe(503);
    expect(refused.body.message).toContain('EIO');
    isBroken = false;
    expect((await server.post('/feedback', { prediction_id: ID, label: 'setosa' })).status).toBe(200);
  });
});
