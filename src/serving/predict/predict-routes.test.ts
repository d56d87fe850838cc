import { connect } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  forestModel,
  IRIS_COLUMNS,
  irisModel,
  lineModel,
  mixedModel,
  SETOSA,
  SETOSA_ROW,
  withExample,
} from '../../../tests/support/served-models.ts';
import { startTestModelServer, type TestModelServer } from '../../../tests/support/test-model-server.ts';
import { answerSchema } from '../serving-schemas.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

async function serveIris(options: Parameters<typeof startTestModelServer>[0] = {}): Promise<TestModelServer> {
  const server = await startTestModelServer(options);
  const model = await withExample(irisModel(), [SETOSA_ROW]);
  server.source.desire([{ name: 'iris', champion: server.source.version('3', model) }]);
  await server.ready;
  return server;
}

async function serveLine(options: Parameters<typeof startTestModelServer>[0] = {}): Promise<TestModelServer> {
  const server = await startTestModelServer(options);
  server.source.desire([{ name: 'line', champion: server.source.version('1', lineModel(0.5)) }]);
  await server.ready;
  return server;
}

describe('POST /predict', () => {
  let iris: TestModelServer;
  let line: TestModelServer;
  beforeAll(async () => {
    [iris, line] = await Promise.all([serveIris({ lifetime: 'file' }), serveLine({ lifetime: 'file' })]);
  });

  it('answers one row with the class, its confidence, all probabilities, the version and the time', async () => {
    const { status, body, headers } = await iris.post('/predict', { features: SETOSA_ROW });
    expect(status).toBe(200);
    expect(answerSchema.parse(body)).toEqual(body);
    expect(body).toMatchObject({ prediction: 'setosa', model_version: '3', variant: 'champion' });
    expect(body.prediction_id).toMatch(UUID_V7);
    expect(body.confidence).toBe(body.probabilities.setosa);
    expect(Object.keys(body.probabilities)).toEqual(['setosa', 'versicolor', 'virginica']);
    const sum = Object.values<number>(body.probabilities).reduce((a, b) => a + b);
    expect(sum).toBeCloseTo(1, 5);
    expect(body.inference_time_ms).toBeGreaterThanOrEqual(0);
    expect(headers.get('x-request-id')).toBeTruthy();
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
  });

  it('takes columns in any order, a list in the signature order, a flat body, and unknown columns beside', async () => {
    const { body: wanted } = await iris.post('/predict', { features: SETOSA_ROW });
    const reversed = Object.fromEntries(Object.entries(SETOSA_ROW).reverse());
    for (const body of [
      { features: reversed },
      { features: SETOSA },
      SETOSA_ROW,
      { ...reversed, note: 'x' },
      { features: { ...SETOSA_ROW, garden: 'north' }, timestamp: '2026-01-31T12:00:00Z' },
      { features: SETOSA_ROW, timestamp: '2024-02-29' },
      { features: SETOSA_ROW, timestamp: 1_750_000_000_000 },
    ]) {
      const answer = await iris.post('/predict', body);
      expect(answer.status).toBe(200);
      expect(answer.body.probabilities).toEqual(wanted.probabilities);
    }
  });

  it('answers many rows in their order, each with an id of its own', async () => {
    const virginica = [6.3, 3.3, 6, 2.5];
    const { status, body } = await iris.post('/predict', { instances: [SETOSA, SETOSA_ROW, virginica] });
    expect(status).toBe(200);
    expect(answerSchema.parse(body)).toEqual(body);
    expect(body.predictions.map((one: any) => one.prediction)).toEqual(['setosa', 'setosa', 'virginica']);
    expect(new Set(body.predictions.map((one: any) => one.prediction_id)).size).toBe(3);
  });

  it('answers a regression with the number alone, and NaN as null', async () => {
    const { body } = await line.post('/predict', { features: { a: 1.25, b: 0.1 } });
    expect(body.prediction).toBe(2.7);
    expect(body).not.toHaveProperty('confidence');
    expect(body).not.toHaveProperty('probabilities');
    const missing = await line.post('/predict', { features: { a: 1, b: null } });
    expect(missing.body.prediction).toBeNull();
  });

  it('names a missing feature and what it may be called instead: 400', async () => {
    const { 'petal width (cm)': _gone, ...rest } = SETOSA_ROW;
    const { status, body } = await iris.post('/predict', { features: { ...rest, 'petal width': 0.2 } });
    expect(status).toBe(400);
    expect(body.error_code).toBe('INVALID_PARAMETER_VALUE');
    expect(body.message).toContain('petal width (cm)');
    expect(body.details.missing).toEqual(['petal width (cm)']);
    const flat = await iris.post('/predict', rest);
    expect(flat.status).toBe(400);
    expect(flat.body.message).toContain('petal width (cm)');
  });

  it('names the row of a bad value among many, and refuses the request as a whole: 400', async () => {
    const { status, body } = await iris.post('/predict', {
      instances: [SETOSA, SETOSA, [1, 2, 3, 'four']],
    });
    expect(status).toBe(400);
    expect(body.message).toContain('Row 2');
    expect(body.message).toContain('petal width (cm)');
  });

  it.each([
    ['no object', [1, 2]],
    ['null', null],
    ['text', '"setosa"'],
    ['an empty object', {}],
    ['other keys', { wrong: 1 }],
    ['features that are no row', { features: 5 }],
    ['features that are null', { features: null }],
    ['features that are rows', { features: [SETOSA, SETOSA] }],
    ['instances that are no list', { instances: SETOSA_ROW }],
    ['no instances', { instances: [] }],
    ['an instance that is no row', { instances: [SETOSA, 7] }],
    ['features and instances', { features: SETOSA, instances: [SETOSA] }],
    ['a time that is none', { features: SETOSA, timestamp: 'yesterday' }],
    ['a day that no calendar has', { features: SETOSA, timestamp: '2026-02-30T12:00:00Z' }],
    ['microseconds for milliseconds', { features: SETOSA, timestamp: 1_750_000_000_000_000 }],
    ['a time before every calendar', { features: SETOSA, timestamp: -8.64e15 }],
  ])('refuses a body of the wrong form, %s: 422', async (_what, wrong) => {
    const { status, body } = await iris.post('/predict', wrong);
    expect(status).toBe(422);
    expect(body.error_code).toBe('UNPROCESSABLE_ENTITY');
    expect(body.request_id).toBeTruthy();
    expect(body.message.length).toBeGreaterThan(20);
  });

  it('refuses what is no JSON, also NaN and Infinity: 400; and numbers beyond float32: 400', async () => {
    for (const text of [
      '{"features": [5.1, 3.5, NaN, 0.2]}',
      '{"features": [Infinity]}',
      '{"features"',
      '',
    ]) {
      const { status, body } = await iris.post('/predict', text);
      expect(status).toBe(400);
      expect(body.error_code).toBe('BAD_REQUEST');
    }
    const { status, body } = await iris.post('/predict', '{"features": [5.1, 3.5, 1e999, 0.2]}');
    expect(status).toBe(400);
    expect(body.message).toContain('petal length (cm)');
  });

  it('takes the last of two equal keys, as JSON readers do', async () => {
    const { body } = await line.post('/predict', '{"features": {"a": 9, "b": 0, "a": 1}}');
    expect(body.prediction).toBe(2.5);
  });

  it('is not moved by keys that mean something to JavaScript', async () => {
    const refused = await line.post('/predict', '{"features": {"a": 1, "__proto__": {"b": 2}}}');
    expect(refused.status).toBe(400);
    const { status, body } = await line.post('/predict', '{"features": {"a": 1, "constructor": 2}}');
    expect(status).toBe(400);
    expect(body.details.missing).toEqual(['b']);
    for (const key of ['constructor', 'toString', 'hasOwnProperty']) {
      expect((await line.post('/predict', { [key]: 1 })).status).toBe(422);
    }
    expect(Object.prototype).not.toHaveProperty('b');
  });

  it('answers deep nesting with a clear 4xx', async () => {
    const deep = '['.repeat(60_000) + ']'.repeat(60_000);
    expect((await line.post('/predict', deep)).status).toBe(422);
    expect((await line.post('/predict', `{"features": ${deep}}`)).status).toBeLessThan(500);
    expect((await line.post('/predict', `{"features": {"a": 1, "b": ${deep}}}`)).status).toBe(400);
    expect((await line.post('/predict', '['.repeat(2_000_000))).status).toBe(413);
    expect((await line.post('/predict', { features: { a: 1, b: 1 } })).status).toBe(200);
  });

  it('refuses other content types with 415 and bodies that are too large with 413', async () => {
    const server = await serveIris({ bodyLimitBytes: 2000, limits: { maxRows: 3 } });
    const text = await server.post('/predict', 'sepal', { 'content-type': 'text/plain' });
    expect(text.status).toBe(415);
    const large = await server.post('/predict', { features: SETOSA_ROW, note: 'x'.repeat(2000) });
    expect(large.status).toBe(413);
    const many = await server.post('/predict', { instances: [SETOSA, SETOSA, SETOSA, SETOSA] });
    expect(many.status).toBe(413);
    expect(many.body.message).toContain('3');
  });

  it('answers a client that sends its body slowly', async () => {
    const { hostname, port } = new URL(iris.url);
    const body = JSON.stringify({ features: SETOSA_ROW });
    const socket = connect(Number(port), hostname).setNoDelay(true);
    const answer = new Promise<string>((resolve) => {
      socket.once('data', (chunk) => resolve(chunk.toString()));
    });
    const send = (text: string) => new Promise<void>((sent) => socket.write(text, () => setImmediate(sent)));
    const head = `POST /predict HTTP/1.1\r\nhost: ${hostname}:${port}\r\ncontent-type: application/json\r\n`;
    await send(`${head}content-length: ${body.length}\r\n\r\n`);
    for (const letter of body) await send(letter);
    expect(await answer).toContain('"prediction":"setosa"');
    socket.destroy();
  });

  it('refuses a foreign Host and a foreign Origin', async () => {
    const foreign = await iris.post('/predict', { features: SETOSA }, { origin: 'http://evil.example' });
    expect(foreign.status).toBe(403);
  });
});

describe('several models', () => {
  async function serveTwo(
    defaultModel?: string,
    lifetime: 'test' | 'file' = 'file',
  ): Promise<TestModelServer> {
    const server = await startTestModelServer({ defaultModel, lifetime });
    const { source } = server;
    source.desire([
      {
        name: 'iris',
        champion: source.version('2', irisModel()),
        previous: source.version('1', irisModel(1)),
      },
      { name: 'my line', champion: source.version('1', lineModel()) },
    ]);
    await server.ready;
    await server.until(({ body }) => body.models[0].previous === '1');
    return server;
  }

  let server: TestModelServer;
  beforeAll(async () => {
    server = await serveTwo();
  });

  it('asks for a name where none is said, and names them', async () => {
    const { status, body } = await server.post('/predict', { features: SETOSA });
    expect(status).toBe(400);
    expect(body.message).toContain('iris, my line');
    expect((await server.get('/model/info')).status).toBe(400);
  });

  it('answers for the default model where it has one', async () => {
    const withDefault = await serveTwo('iris', 'test');
    expect((await withDefault.post('/predict', { features: SETOSA })).body.prediction).toBe('setosa');
    expect((await withDefault.get('/model/info')).body.name).toBe('iris');
  });

  it('answers for the model and the warm version that the path names', async () => {
    const line = await server.post('/models/my%20line/predict', { features: [1, 1] });
    expect(line.body.prediction).toBe(-1);
    const champion = await server.post('/models/iris/predict', { features: SETOSA });
    const previous = await server.post('/models/iris/versions/1/predict', { features: SETOSA });
    const named = await server.post('/models/iris/versions/2/predict?trace=1', { features: SETOSA });
    expect(champion.body).toMatchObject({ model_version: '2', variant: 'champion' });
    expect(previous.body).toMatchObject({ model_version: '1', variant: 'previous' });
    expect(named.body.probabilities).toEqual(champion.body.probabilities);
    expect(previous.body.probabilities).not.toEqual(champion.body.probabilities);
  });

  it('answers 404 for another model or version, naming those that are here', async () => {
    const model = await server.post('/models/irsi/predict', { features: SETOSA });
    expect(model.status).toBe(404);
    expect(model.body.message).toContain("did you mean 'iris'?");
    expect(model.body.details.models).toEqual(['iris', 'my line']);
    const version = await server.post('/models/iris/versions/7/predict', { features: SETOSA });
    expect(version.status).toBe(404);
    expect(version.body.message).toContain('warm: 2, 1');
    expect((await server.get('/models/nothing')).status).toBe(404);
  });
});

describe('text and dates', () => {
  it.each([
    ['the main thread', undefined],
    ['a worker', { createMs: 0, rowMicros: 0 }],
  ])(
    'are coded as the signature says, on %s; text that was never seen is taken and counted',
    async (_where, limits) => {
      const server = await startTestModelServer(limits ? { inlineLimits: limits } : {});
      server.source.desire([{ name: 'mixed', champion: server.source.version('1', mixedModel()) }]);
      await server.ready;
      const since = '1991-06-01T00:00:00Z';
      const { body } = await server.post('/predict', {
        instances: [
          { plan: 'pro', amount: 1, since },
          { plan: null, amount: 2, since: Date.UTC(1991, 5, 1) },
          { since, amount: 3, plan: 'enterprise' },
        ],
      });
      expect(body.predictions.map((one: any) => one.prediction)).toEqual([32, 53, 64]);
      const { body: metrics } = await server.get('/metrics');
      expect(metrics).toContain('model_unseen_categories_total{model="mixed",version="1",column="plan"} 1');
      const wrong = await server.post('/predict', { plan: 'pro', amount: 1.5, since });
      expect(wrong.status).toBe(400);
      expect(wrong.body.message).toContain('1.5 is not a whole number');
      const { body: document } = await server.get('/openapi.json');
      const { schema } = document.paths['/predict'].post.requestBody.content['application/json'];
      expect(schema.anyOf[2].properties).toMatchObject({
        plan: { type: ['string', 'null'], examples: ['free', 'pro', 'team'] },
        amount: { type: 'integer' },
        since: { type: 'string', format: 'date-time' },
      });
    },
  );
});

describe('a client that leaves', () => {
  it('disturbs nobody else', async () => {
    const server = await startTestModelServer({ inlineLimits: { createMs: 0, rowMicros: 0 } });
    const { source } = server;
    source.desire([
      { name: 'forest', champion: source.version('1', forestModel({ trees: 100, depth: 6, features: 4 })) },
    ]);
    await server.ready;
    const instances = Array.from({ length: 9000 }, () => [0.1, 0.2, 0.3, 0.4]);
    const leave = new AbortController();
    const staying = server.post('/predict', { instances });
    const leaving = Array.from({ length: 4 }, () =>
      fetch(`${server.url}/predict`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ instances }),
        signal: leave.signal,
      }).catch((error: Error) => error.name),
    );
    await server.get('/health');
    leave.abort();
    expect((await staying).body.predictions).toHaveLength(9000);
    expect(await Promise.all(leaving)).toEqual(Array(4).fill('AbortError'));
    expect((await server.post('/predict', { features: [1, 2, 3, 4] })).status).toBe(200);
  });
});

describe('a busy server', () => {
  it('refuses with 429 and Retry-After what would wait beyond the limit, and answers the rest', async () => {
    const server = await startTestModelServer({
      inlineLimits: { createMs: 0, rowMicros: 0 },
      limits: { maxQueueRows: 50, maxRows: 1000 },
    });
    const { source } = server;
    const forest = forestModel({ trees: 100, depth: 6, features: 4 });
    source.desire([{ name: 'forest', champion: source.version('1', forest) }]);
    await server.ready;
    const rows = Array.from({ length: 40 }, () => [0.1, 0.2, 0.3, 0.4]);
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => server.post('/predict', { instances: rows })),
    );
    const statuses = new Set(answers.map(({ status }) => status));
    expect([...statuses].toSorted((a, b) => a - b)).toEqual([200, 429]);
    for (const { status, body, headers } of answers) {
      if (status === 200) expect(body.predictions).toHaveLength(40);
      else {
        expect(headers.get('retry-after')).toBe('1');
        expect(body.error_code).toBe('TOO_MANY_REQUESTS');
      }
    }
  });
});

describe('the models page', () => {
  it('describes the model: version, framework, features, classes, example', async () => {
    const server = await serveIris();
    const { status, body } = await server.get('/model/info');
    expect(status).toBe(200);
    expect(body).toMatchObject({
      name: 'iris',
      version: '3',
      framework: 'tidemill',
      task: 'multiclass',
      target: 'species',
      features: IRIS_COLUMNS,
      classes: ['setosa', 'versicolor', 'virginica'],
      example: SETOSA_ROW,
      runs_in: 'main-thread',
    });
    expect((await server.get('/models/iris')).body).toEqual(body);
    expect((await server.get('/models')).body.models).toEqual([
      { name: 'iris', version: '3', desired_version: '3' },
    ]);
    expect((await server.get('/')).body).toMatchObject({ name: 'Tidemill model server', models: ['iris'] });
    expect((await server.get('/health')).body).toEqual({ status: 'healthy' });
  });

  it('writes an OpenAPI document with the columns, classes and an example that can be sent', async () => {
    const server = await serveIris();
    const { body: document } = await server.get('/openapi.json');
    expect(document.openapi).toBe('3.1.0');
    for (const path of ['/predict', '/models/iris/predict']) {
      const { requestBody, responses } = document.paths[path].post;
      const { schema, example } = requestBody.content['application/json'];
      const row = schema.anyOf[2];
      expect(Object.keys(row.properties)).toEqual([...IRIS_COLUMNS]);
      expect(row.properties['petal width (cm)']).toEqual({ type: 'number' });
      const [one] = responses['200'].content['application/json'].schema.anyOf;
      expect(one.properties.prediction.enum).toEqual(['setosa', 'versicolor', 'virginica']);
      expect((await server.post(path, example)).status).toBe(200);
    }
    expect(document.paths['/models/{name}/predict']).toBeDefined();
    expect(document.paths['/ready']).toBeDefined();
    expect((await server.get('/docs')).status).toBe(200);
  });

  it('counts requests, predictions by class, runs and what is loaded', async () => {
    const server = await serveIris();
    await server.post('/predict', { features: SETOSA });
    await server.post('/predict', { instances: [SETOSA, [6.3, 3.3, 6, 2.5]] });
    await server.post('/predict', { wrong: 1 });
    const { body: text } = await server.get('/metrics');
    expect(text).toContain('predictions_total{model="iris",version="3",predicted_class="setosa"} 2');
    expect(text).toContain('predictions_total{model="iris",version="3",predicted_class="virginica"} 1');
    expect(text).toContain('http_requests_total{method="POST",route="/predict",status="200"} 2');
    expect(text).toContain('http_requests_total{method="POST",route="/predict",status="422"} 1');
    expect(text).toContain('model_inference_seconds_count{model="iris",version="3",variant="champion"} 2');
    expect(text).toContain('inference_batch_rows_sum{model="iris",version="3"} 3');
    expect(text).toContain('inference_queue_depth{model="iris",version="3"} 0');
    expect(text).toContain('model_loaded{model="iris",version="3",role="champion"} 1');
    expect(text).toMatch(/model_load_seconds\{model="iris",version="3"\} \d+\.\d+/);
  });
});
