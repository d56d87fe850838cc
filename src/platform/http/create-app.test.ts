import { connect } from 'node:net';
import type { InjectOptions } from 'fastify';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTestApp, postJson } from '../../../tests/support/test-app.ts';
import { ApiError } from '../index.ts';

const things = {
  schema: {
    params: z.object({ id: z.coerce.number().int() }),
    querystring: z.object({ limit: z.coerce.number().max(10).default(5) }),
    body: z.object({ name: z.string(), tags: z.array(z.object({ key: z.string() })).optional() }),
    response: { 200: z.object({ id: z.number(), limit: z.number(), name: z.string() }) },
  },
};

function appWithThings() {
  const test = createTestApp({ bodyLimitBytes: 1000 });
  test.app.post('/things/:id', things, (request) => ({
    id: request.params.id,
    limit: request.query.limit,
    name: request.body.name,
  }));
  test.app.post('/deep', { bodyLimit: 1_000_000, schema: { body: z.object({}) } }, () => ({}));
  test.app.get('/actor', (request) => ({ actor: request.actor }));
  test.app.get('/fails', () => {
    throw new Error('connect to db.internal failed: password wrong');
  });
  test.app.get('/busy', () => {
    throw new ApiError('TOO_MANY_REQUESTS', 'The queue is full', { retry_after_seconds: 2.5 });
  });
  return test;
}

describe('an answer', () => {
  it('carries a request id: a new one, or the plain one that was sent', async () => {
    const { app } = appWithThings();
    const ids = await Promise.all(
      [
        {},
        {},
        { 'x-request-id': 'from-proxy-7' },
        { 'x-request-id': 'a b' },
        { 'x-request-id': 'x'.repeat(129) },
      ].map(async (headers) => (await app.inject({ url: '/actor', headers })).headers['x-request-id']),
    );
    expect(ids[2]).toBe('from-proxy-7');
    expect(new Set(ids).size).toBe(5);
    for (const id of ids) expect(id).toMatch(/^[\w-]{6,30}$/);
  });

  it('tells browsers to run and embed nothing of it', async () => {
    const { headers } = await appWithThings().app.inject('/actor');
    expect(headers['x-content-type-options']).toBe('nosniff');
    expect(headers['content-security-policy']).toContain("default-src 'none'");
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  it('gets its contract converted, and unknown fields are let through', async () => {
    const { app } = appWithThings();
    const answer = await app.inject({
      method: 'POST',
      url: '/things/7?other=1',
      payload: { name: 'n', more: [1] },
    });
    expect(answer.json()).toEqual({ id: 7, limit: 5, name: 'n' });
  });

  it('is logged with its id, method, path, status and time', async () => {
    const { app, log } = appWithThings();
    await app.inject({ url: '/actor?secret=1', headers: { 'x-request-id': 'abc' } });
    expect(log).toContainEqual(
      expect.objectContaining({
        level: 'info',
        request_id: 'abc',
        method: 'GET',
        path: '/actor',
        status: 200,
        duration_ms: expect.any(Number),
      }),
    );
  });

  it('lets handlers log under the request id, also through a child', async () => {
    const { app, log } = createTestApp();
    app.get('/logs', (request) => {
      request.log.info({ model: 'churn' }, 'loaded');
      request.log.child({ step: 2 }).warn('late');
      for (const level of ['fatal', 'error', 'warn', 'debug', 'trace'] as const)
        request.log[level](`at ${level}`);
      request.log.silent('nothing');
      return { level: request.log.level };
    });
    const answer = await app.inject({ url: '/logs', headers: { 'x-request-id': 'abc' } });
    expect(answer.json()).toEqual({ level: 'debug' });
    const lines = log
      .filter((line) => line['request_id'] === 'abc')
      .map((line) => [line['level'], line['msg']]);
    expect(lines).toEqual([
      ['info', 'loaded'],
      ['warn', 'late'],
      ['fatal', 'at fatal'],
      ['error', 'at error'],
      ['warn', 'at warn'],
      ['debug', 'at debug'],
      ['info', 'request completed'],
    ]);
  });

  it('knows who asks, without control characters and at most 128 characters of it', async () => {
    const { app } = appWithThings();
    const actorOf = async (actor?: string) =>
      (
        await app.inject({ url: '/actor', headers: actor === undefined ? {} : { 'x-tidemill-actor': actor } })
      ).json().actor;
    expect(await actorOf()).toBe('anonymous');
    expect(await actorOf('  \t ')).toBe('anonymous');
    expect(await actorOf('jane@example.org')).toBe('jane@example.org');
    expect(await actorOf('a\u0000b\u200bc\u0085')).toBe('abc');
    expect(await actorOf('x'.repeat(500))).toBe('x'.repeat(128));
  });
});

describe('an error', () => {
  const cases: [string, InjectOptions, number, string, string][] = [
    [
      'a wrong type in the body',
      { method: 'POST', url: '/things/1', payload: { name: 3 } },
      400,
      'INVALID_PARAMETER_VALUE',
      "Invalid request: 'name' in the body is 3: it must be text",
    ],
    [
      'a field that is missing',
      { method: 'POST', url: '/things/1', payload: {} },
      400,
      'INVALID_PARAMETER_VALUE',
      "Invalid request: 'name' is missing from the body",
    ],
    [
      'a wrong value deep inside',
      { method: 'POST', url: '/things/1', payload: { name: 'n', tags: [{ key: 'a' }, { key: null }] } },
      400,
      'INVALID_PARAMETER_VALUE',
      "'tags.1.key' in the body is null",
    ],
    [
      'a body of another kind',
      { method: 'POST', url: '/things/1', payload: '[1]', headers: { 'content-type': 'application/json' } },
      400,
      'INVALID_PARAMETER_VALUE',
      'the body is [1]: it must be an object',
    ],
    [
      'a wrong path parameter',
      { method: 'POST', url: '/things/seven', payload: { name: 'n' } },
      400,
      'INVALID_PARAMETER_VALUE',
      `'id' in the path is "seven"`,
    ],
    [
      'a wrong query parameter',
      { method: 'POST', url: '/things/1?limit=11', payload: { name: 'n' } },
      400,
      'INVALID_PARAMETER_VALUE',
      `'limit' in the query is "11"`,
    ],
    [
      'malformed JSON',
      {
        method: 'POST',
        url: '/things/1',
        payload: '{"name":',
        headers: { 'content-type': 'application/json' },
      },
      400,
      'BAD_REQUEST',
      'The body is not valid JSON: Unexpected end of JSON input',
    ],
    [
      'a body that is nested without end',
      {
        method: 'POST',
        url: '/deep',
        payload: '['.repeat(40_000) + ']'.repeat(40_000),
        headers: { 'content-type': 'application/json' },
      },
      400,
      'INVALID_PARAMETER_VALUE',
      'the body is nested too deeply: it must be an object',
    ],
    [
      'no JSON at all',
      { method: 'POST', url: '/things/1', headers: { 'content-type': 'application/json' } },
      400,
      'BAD_REQUEST',
      'The body is empty',
    ],
    [
      'a key that would set a prototype',
      {
        method: 'POST',
        url: '/things/1',
        payload: '{"name":"n","x":[{"\\u005f_proto__":{}}]}',
        headers: { 'content-type': 'application/json' },
      },
      400,
      'BAD_REQUEST',
      '__proto__',
    ],
    [
      'another content type',
      { method: 'POST', url: '/things/1', payload: 'name=n', headers: { 'content-type': 'text/plain' } },
      415,
      'UNSUPPORTED_MEDIA_TYPE',
      'send application/json',
    ],
    [
      'a body that is too large',
      { method: 'POST', url: '/things/1', payload: { name: 'n'.repeat(1000) } },
      413,
      'PAYLOAD_TOO_LARGE',
      'larger',
    ],
    [
      'a wrong path',
      { url: '/actr' },
      404,
      'ENDPOINT_NOT_FOUND',
      'No endpoint GET /actr. Did you mean /actor?',
    ],
    [
      'a wrong path with a parameter',
      { method: 'POST', url: '/thing/12345' },
      404,
      'ENDPOINT_NOT_FOUND',
      'Did you mean /things/{id}?',
    ],
    [
      'a path like no other',
      { url: `/${'q'.repeat(300)}` },
      404,
      'ENDPOINT_NOT_FOUND',
      '... GET /docs lists',
    ],
    ['a wrong method', { method: 'PUT', url: '/things/1' }, 405, 'METHOD_NOT_ALLOWED', 'it takes POST'],
    ['a URL that cannot be decoded', { url: '/actor/%zz' }, 400, 'BAD_REQUEST', 'The URL is not valid'],
    [
      'a path part without end',
      { method: 'POST', url: `/things/${'1'.repeat(2000)}` },
      400,
      'BAD_REQUEST',
      'too long',
    ],
    ['a fault of ours', { url: '/fails' }, 500, 'INTERNAL_ERROR', 'The server met an unexpected error'],
  ];

  it.each(cases)('has one form for %s', async (_, request, status, code, message) => {
    const { app } = appWithThings();
    const answer = await app.inject(request);
    expect(answer.json()).toMatchObject({
      error_code: code,
      message: expect.stringContaining(message),
      request_id: expect.any(String),
    });
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['content-type']).toContain('application/json');
  });

  it('of ours keeps the inside for the log', async () => {
    const { app, log } = appWithThings();
    const answer = await app.inject({ url: '/fails', headers: { 'x-request-id': 'r1' } });
    expect(answer.body).not.toContain('password');
    const line = log.find((entry) => entry['level'] === 'error');
    expect(line).toMatchObject({
      request_id: 'r1',
      err: { message: expect.stringContaining('password wrong') },
    });
    expect(line?.['err'].stack).toContain('create-app.test.ts');
  });

  it.each([
    ['the system', Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' })],
    ['DuckDB', new Error('IO Error: Could not write file "x.parquet": No space left on device')],
  ])('of a full disk says so, in the words of %s', async (_who, error) => {
    const { app } = createTestApp();
    app.get('/full', () => {
      throw error;
    });
    const answer = await app.inject('/full');
    expect(answer.statusCode).toBe(503);
    expect(answer.json().message).toBe('The disk of the server is full: make room and try again');
  });

  it('says when to try again and which methods there are', async () => {
    const { app } = appWithThings();
    expect((await app.inject('/busy')).headers['retry-after']).toBe('3');
    expect((await app.inject({ method: 'DELETE', url: '/things/1' })).headers['allow']).toBe('POST');
  });

  it('names at most five fields, and shortens long values', async () => {
    const { app } = createTestApp();
    const many = z.object(Object.fromEntries('abcdefg'.split('').map((name) => [name, z.number()])));
    app.post('/many', { schema: { body: many } }, () => ({}));
    const payload = Object.fromEntries('abcdefg'.split('').map((name) => [name, 'long'.repeat(100)]));
    const { message, details } = (await app.inject({ method: 'POST', url: '/many', payload })).json();
    expect(message).toContain('(and 2 more)');
    expect(message.length).toBeLessThan(1000);
    expect(details).toEqual({ fields: ['a', 'b', 'c', 'd', 'e'] });
  });

  it('leaves the connection usable, and a refused body is received first', async () => {
    const { start } = appWithThings();
    const url = await start();
    for (let i = 0; i < 3; i++) {
      const large = await fetch(`${url}/things/1`, postJson({ name: 'n'.repeat(3_000_000) }));
      expect([large.status, large.headers.get('connection')]).toEqual([413, null]);
      const malformed = await fetch(`${url}/things/1`, postJson('{'));
      expect([malformed.status, malformed.headers.get('connection')]).toEqual([400, null]);
    }
  });

  it.each([
    ['no HTTP', 'hello\r\n\r\n', '400 Bad Request', 'not valid HTTP'],
    ['too large headers', `GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}\r\n\r\n`, '431', 'too large'],
  ])('has the same form for %s', async (_, sent, status, message) => {
    const { start } = createTestApp();
    const answer = await exchange(await start(), sent);
    expect(answer).toContain(`HTTP/1.1 ${status}`);
    expect(JSON.parse(answer.split('\r\n\r\n')[1] ?? '')).toMatchObject({
      error_code: 'BAD_REQUEST',
      message: expect.stringContaining(message),
    });
  });

  it('ends a request that does not arrive in time', async () => {
    const { start } = createTestApp({ requestTimeoutMs: 50 });
    const answer = await exchange(
      await start(),
      'POST /x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nabc',
    );
    expect(answer).toContain('408 Request Timeout');
  });
});

/** Sends text as it is and gives everything that comes back until the connection ends. */
function exchange(url: string, text: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    let answer = '';
    socket.on('data', (chunk) => (answer += chunk.toString()));
    socket.on('close', () => resolve(answer));
    socket.on('error', () => {});
    socket.write(text);
  });
}

describe('the contract of an answer', () => {
  function appAnswering(answer: unknown, verifyResponses: boolean) {
    const { app, log } = createTestApp({ verifyResponses });
    const schema = {
      response: { 200: z.object({ a: z.number(), in: z.object({ b: z.string().optional() }) }) },
    };
    app.get('/answer', { schema }, () => answer as never);
    return { app, log };
  }

  it.each([
    [{ a: 1, in: {} }, undefined],
    [{ a: 'x', in: {} }, 'a: Invalid input: expected number, received string'],
    [{ a: 1, in: { b: 'x', c: 1 } }, 'in.c is not in it'],
    [{ a: 1 }, 'in: Invalid input: expected object, received undefined'],
  ])('is verified for %j in tests', async (answer, problem) => {
    const { app, log } = appAnswering(answer, true);
    const { statusCode } = await app.inject('/answer');
    expect(statusCode).toBe(problem === undefined ? 200 : 500);
    const told = log.filter((line) => line['level'] === 'error').map((line) => line['err'].message);
    expect(told).toEqual(
      problem === undefined ? [] : [`The answer of GET /answer breaks its contract: ${problem}`],
    );
  });

  it('costs nothing otherwise', async () => {
    const { app } = appAnswering({ a: 'x', c: 1 }, false);
    expect((await app.inject('/answer')).json()).toEqual({ a: 'x', c: 1 });
  });

  it('is checked for each content type that an answer may have', async () => {
    const { app } = createTestApp();
    const content = { 'application/json': { schema: z.object({ a: z.number() }) } };
    app.get('/typed', { schema: { response: { 200: { description: 'A', content } } } } as never, (_, reply) =>
      reply.type('application/json').send({ a: 'x' }),
    );
    expect((await app.inject('/typed')).statusCode).toBe(500);
  });
});

describe('GET /metrics', () => {
  it('counts requests by method, pattern and status, never by path', async () => {
    const { app } = appWithThings();
    await app.inject({ method: 'POST', url: '/things/1', payload: { name: 'n' } });
    await app.inject({ method: 'POST', url: '/things/2', payload: { name: 'n' } });
    await app.inject({ method: 'POST', url: '/things/3', payload: {} });
    await app.inject('/nowhere/1');
    await app.inject('/nowhere/2');
    const answer = await app.inject('/metrics');
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    for (const line of [
      'http_requests_total{method="POST",route="/things/:id",status="200"} 2',
      'http_requests_total{method="POST",route="/things/:id",status="400"} 1',
      'http_requests_total{method="*",route="unmatched",status="404"} 2',
      'http_request_duration_seconds_count{method="POST",route="/things/:id"} 3',
      'http_request_duration_seconds_bucket{method="POST",route="/things/:id",le="+Inf"} 3',
    ]) {
      expect(answer.body.split('\n')).toContain(line);
    }
    expect(answer.body).not.toContain('nowhere');
  });
});
