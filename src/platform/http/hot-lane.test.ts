import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTestApp, postJson } from '../../../tests/support/test-app.ts';
import { ApiError, addHotRoute, type HotRequest } from '../index.ts';

const answers: Record<string, (value: unknown, request: HotRequest) => unknown> = {
  value: (value) => ({ value }),
  later: async (value) => ({ value }),
  text: () => '{"already":"text"}',
  who: (_, request) => ({
    actor: request.actor,
    type: request.headers['content-type'],
    id: typeof request.id,
  }),
  busy() {
    throw new ApiError('TOO_MANY_REQUESTS', 'busy');
  },
  async reject() {
    throw new ApiError('INVALID_PARAMETER_VALUE', 'wrong', { row: 3 });
  },
  down() {
    throw new ApiError('TEMPORARILY_UNAVAILABLE', 'nothing is served');
  },
  fault() {
    throw new Error('inside');
  },
  circle() {
    const circle: Record<string, unknown> = {};
    circle['self'] = circle;
    return circle;
  },
};

/** Gives every kind of answer, chosen by the body. */
function handler(body: unknown, request: HotRequest): unknown {
  const { ask = '', value } = (body ?? {}) as { ask?: string; value?: unknown };
  const answer = answers[ask];
  if (answer !== undefined) return answer(value, request);
  throw new ApiError(
    'UNPROCESSABLE_ENTITY',
    `A body of the wrong form: ${JSON.stringify(body) ?? 'nothing'}`,
  );
}

function hotApp(options = {}) {
  const test = createTestApp({ bodyLimitBytes: 100_000, ...options });
  addHotRoute(test.app, {
    url: '/hot',
    schema: { summary: 'Hot', body: z.object({ ask: z.string() }) },
    handler,
  });
  return test;
}

describe('a hot route', () => {
  const requests: [string, RequestInit][] = [
    ['a value', postJson({ ask: 'value', value: 'ü漢' })],
    ['a promise', postJson({ ask: 'later', value: [1, null] })],
    ['text', postJson({ ask: 'text' })],
    ['the request itself', postJson({ ask: 'who' }, { 'x-tidemill-actor': 'jane' })],
    [
      'another spelling of JSON',
      postJson({ ask: 'who' }, { 'content-type': 'application/json; charset=utf-8' }),
    ],
    [
      'a third spelling of JSON',
      postJson({ ask: 'value' }, { 'content-type': 'Application/JSON;charset=UTF-8' }),
    ],
    ['an error', postJson({ ask: 'busy' })],
    ['a rejected promise', postJson({ ask: 'reject' })],
    ['a fault', postJson({ ask: 'fault' })],
    ['an answer that cannot be written', postJson({ ask: 'circle' })],
    ['another form', postJson([1, 2])],
    ['null', postJson('null')],
    ['malformed JSON', postJson('{"ask"')],
    ['a prototype', postJson('{"__proto__":{}}')],
    ['an empty body', postJson('')],
    ['a body in many pieces', postJson({ ask: 'value', value: 'x'.repeat(90_000) })],
    ['a body that is too large', postJson({ ask: 'value', value: 'x'.repeat(200_000) })],
    ['no body and no type', { method: 'POST' }],
    ['another type', { method: 'POST', body: 'x', headers: { 'content-type': 'text/csv' } }],
    ['a foreign origin', postJson({ ask: 'value' }, { origin: 'http://evil.example' })],
    ['an id', postJson({ ask: 'value' }, { 'x-request-id': 'mine' })],
  ];

  it.each(requests)('answers %s alike by its own lane and by Fastify', async (_, request) => {
    const { start } = hotApp();
    const url = await start();
    const answers = await Promise.all(
      // With a query string the request takes Fastify's way.
      [`${url}/hot`, `${url}/hot?`, `${url}/hot?by=fastify`].map(async (target) => {
        const answer = await fetch(target, request);
        const body = JSON.parse(await answer.text());
        const { headers } = answer;
        const id = headers.get('x-request-id');
        if (body?.request_id === id) body.request_id = 'its id';
        return {
          status: answer.status,
          body,
          type: headers.get('content-type'),
          retryAfter: headers.get('retry-after'),
          sniff: headers.get('x-content-type-options'),
          id: id === 'mine' ? 'mine' : typeof id,
        };
      }),
    );
    expect(answers[0]).toEqual(answers[1]);
    expect(answers[0]).toEqual(answers[2]);
  });

  it('has parameters in its path, decoded', async () => {
    const { app, start } = createTestApp();
    addHotRoute(app, {
      url: '/models/:name/predict',
      handler: (_, { params, isGone }) => ({ ...params, isGone }),
    });
    const url = await start();
    for (const [name, expected] of [
      ['churn', 'churn'],
      ['a%20b%2Fc', 'a b/c'],
    ]) {
      for (const query of ['', '?x']) {
        const answer = await fetch(`${url}/models/${name}/predict${query}`, postJson({}));
        expect(await answer.json()).toEqual({ name: expected, isGone: false });
      }
    }
    expect((await fetch(`${url}/models/%zz/predict`, postJson({}))).status).toBe(400);
    expect((await fetch(`${url}/models/a/other`, postJson({}))).status).toBe(404);
    expect((await fetch(`${url}/models/a/predict/more`, postJson({}))).status).toBe(404);
  });

  it('is counted, logged when it fails, and described like any other', async () => {
    const { app, log, start } = hotApp();
    const url = await start();
    await fetch(`${url}/hot`, postJson({ ask: 'value' }));
    await fetch(`${url}/hot`, postJson({ ask: 'fault' }));
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('http_requests_total{method="POST",route="/hot",status="200"} 1\n');
    expect(metrics).toContain('http_requests_total{method="POST",route="/hot",status="500"} 1\n');
    expect(metrics).toContain('http_request_duration_seconds_count{method="POST",route="/hot"} 2\n');
    const lines = log.filter((line) => line['path'] === '/hot' || line['url'] === '/hot');
    expect(lines.map((line) => [line['level'], line['status'], line['err']?.message])).toEqual([
      ['debug', 200, undefined],
      ['error', undefined, 'inside'],
      ['info', 500, undefined],
    ]);
    expect((await app.inject('/openapi.json')).json().paths['/hot'].post.summary).toBe('Hot');
  });

  it('has no line for each of many requests that nothing can answer', async () => {
    const { log, start } = hotApp();
    const url = await start();
    const ask = () => fetch(`${url}/hot`, postJson({ ask: 'down' }));
    for (const { status } of await Promise.all(Array.from({ length: 50 }, ask))) expect(status).toBe(503);
    const told = log.filter(({ level, msg }) => level !== 'debug' && msg !== undefined);
    const lines = told.filter((line) => line['path'] === '/hot' || line['url'] === '/hot');
    expect(lines[0]).toMatchObject({ level: 'warn', msg: 'nothing is served' });
    expect(lines.length).toBeLessThan(50);
  });

  it('takes a body without Content-Length', async () => {
    const { start } = hotApp();
    const body = new Blob(['{"ask":"value",', '"value":1}']).stream();
    const answer = await fetch(`${await start()}/hot`, {
      ...postJson(''),
      body,
      duplex: 'half',
    } as RequestInit);
    expect(await answer.json()).toEqual({ value: 1 });
  });

  it('keeps its contract too', async () => {
    const { app, start } = createTestApp();
    addHotRoute(app, {
      url: '/strict',
      schema: { response: { 200: z.object({ a: z.number() }) } },
      handler: (body) => ((body as { text?: boolean }).text ? '{"b":1}' : Promise.resolve(body)),
    });
    const url = await start();
    const statuses = [];
    for (const body of [{ a: 1 }, { a: 'x' }, { text: true }]) {
      statuses.push((await fetch(`${url}/strict`, postJson(body))).status);
    }
    expect(statuses).toEqual([200, 500, 500]);
  });

  it('lets a client go away in the middle of a request', async () => {
    const { start } = hotApp();
    const url = await start();
    const gone = new AbortController();
    const body = new ReadableStream({
      pull(controller) {
        controller.enqueue(new TextEncoder().encode('{"ask":'));
        gone.abort();
      },
    });
    const request = { ...postJson(''), body, duplex: 'half', signal: gone.signal } as RequestInit;
    await expect(fetch(`${url}/hot`, request)).rejects.toThrow('aborted');
    expect((await fetch(`${url}/hot`, postJson({ ask: 'value' }))).status).toBe(200);
  });
});
