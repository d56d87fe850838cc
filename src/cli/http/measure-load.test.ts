import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { runCapturedCli } from '../../../tests/support/run-captured-cli.ts';
import { measureLoad, quantile, readAnswer } from './measure-load.ts';

const closers: (() => void)[] = [];

afterEach(() => {
  for (const close of closers.splice(0)) close();
});

async function startTarget(
  answer: (count: number) => { status: number; chunked?: boolean },
  published: Record<string, object> = {},
) {
  const bodies: string[] = [];
  const paths: string[] = [];
  const server = createServer((request, response) => {
    if (request.url === '/openapi.json') {
      const content = { 'application/json': { example: { features: { a: 1 } } } };
      const post = { post: { requestBody: { content } } };
      response.end(JSON.stringify({ paths: { '/predict': post, '/models/b/predict': post } }));
      return;
    }
    if (request.method === 'GET') {
      response.end(JSON.stringify(published[request.url ?? ''] ?? {}));
      return;
    }
    let body = '';
    request.on('data', (chunk) => {
      body += chunk;
    });
    request.on('end', () => {
      bodies.push(body);
      paths.push(request.url ?? '');
      const { status, chunked } = answer(bodies.length);
      const text = '{"prediction":"x"}';
      response.writeHead(status, chunked ? {} : { 'content-length': text.length });
      if (chunked) response.write(text.slice(0, 3));
      response.end(chunked ? text.slice(3) : text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, bodies, paths };
}

describe('measureLoad', () => {
  it('counts answers and orders the quantiles, with chunked answers too', async () => {
    const { url, bodies } = await startTarget((count) => ({ status: 200, chunked: count % 2 === 0 }));
    const result = await measureLoad({
      url: `${url}/predict`,
      body: '{"a":"é"}',
      concurrency: 4,
      durationMs: 200,
      warmUpMs: 20,
    });
    expect(result.errors).toBe(0);
    expect(result.requests).toBeGreaterThan(10);
    expect(bodies.every((body) => body === '{"a":"é"}')).toBe(true);
    expect(result.p50_ms).toBeLessThanOrEqual(result.p95_ms);
    expect(result.p95_ms).toBeLessThanOrEqual(result.p99_ms);
  });

  it('counts answers that are not 2xx, and a server that is not there, as errors', async () => {
    const { url } = await startTarget((count) => ({ status: count % 2 ? 200 : 503 }));
    const options = { body: '{}', concurrency: 2, durationMs: 100, warmUpMs: 0 };
    const half = await measureLoad({ url: `${url}/predict`, ...options });
    expect(half.errors).toBeGreaterThan(0);
    expect(half.first_error).toMatch(/^503 /);
    expect(Math.abs(half.errors - half.requests)).toBeLessThanOrEqual(2);
    closers.splice(0)[0]?.();
    const none = await measureLoad({ url: `${url}/predict`, ...options });
    expect(none.requests).toBe(0);
    expect(none.errors).toBeGreaterThan(0);
    expect(none.first_error).toBe('the connection broke');
  });

  it('ends at once when it is told to', async () => {
    const { url } = await startTarget(() => ({ status: 200 }));
    const stop = new AbortController();
    const onProgress = () => stop.abort();
    const startedAt = performance.now();
    const durationMs = 20_000;
    await measureLoad({ url, body: '{}', concurrency: 1, durationMs, signal: stop.signal, onProgress });
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  it('reads an answer only when it is whole', () => {
    const answer = Buffer.from('HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}');
    expect(readAnswer(answer)).toEqual({ status: 201, length: answer.length });
    expect(readAnswer(answer.subarray(0, -1))).toBeUndefined();
    expect(readAnswer(answer.subarray(0, 10))).toBeUndefined();
    expect(readAnswer(Buffer.from('HTTP/1.1 204 No Content\r\n\r\n'))).toEqual({ status: 204, length: 27 });
  });

  it('takes quantiles by nearest rank', () => {
    const values = Float64Array.from({ length: 100 }, (_, i) => i + 1);
    expect([quantile(values, 0.5), quantile(values, 0.99), quantile(new Float64Array(0), 0.5)]).toEqual([
      50, 99, 0,
    ]);
  });
});

describe('tidemill load-test', () => {
  it('sends the example that the model server publishes and prints a row for each concurrency', async () => {
    const { url, bodies } = await startTarget(() => ({ status: 200 }));
    const argv = ['load-test', url, '--concurrency', '1,2', '--duration', '0.1'];
    const plain = await runCapturedCli(argv);
    expect(plain.stderr).not.toContain('error');
    expect(plain.status).toBe(0);
    expect(plain.stdout).toContain('req/s');
    expect(plain.stdout.trim().split('\n')).toHaveLength(3);
    expect(bodies[0]).toBe('{"features":{"a":1}}');
    const { json } = await runCapturedCli([...argv, '--json', '--body', '{"b":2}']);
    expect(json.results.map((row: { concurrency: number }) => row.concurrency)).toEqual([1, 2]);
    expect(bodies.at(-1)).toBe('{"b":2}');
  });

  it('asks which model where the server has several, and takes the one that is named', async () => {
    const models = { '/models': { models: [{ name: 'a' }, { name: 'b' }] } };
    const { url, paths } = await startTarget(() => ({ status: 200 }), models);
    const argv = ['load-test', url, '--duration', '0.1', '--concurrency', '1'];
    const none = await runCapturedCli(argv);
    expect([none.status, none.stderr]).toEqual([2, expect.stringContaining('--model (a, b)')]);
    expect(none.stderr).toContain('--path /models/a/predict');
    expect((await runCapturedCli([...argv, '--model', 'b'])).status).toBe(0);
    expect(new Set(paths)).toEqual(new Set(['/models/b/predict']));
    const unknown = await runCapturedCli([...argv, '--model', 'cd']);
    expect([unknown.status, unknown.stderr]).toEqual([2, expect.stringContaining('there are a, b')]);
  });

  it('says where the model servers are when it is aimed at a control plane', async () => {
    const status = { '/api/v1/status': { model_servers: ['http://127.0.0.1:7071'] } };
    const { url } = await startTarget(() => ({ status: 200 }), status);
    const { status: exit, stderr } = await runCapturedCli(['load-test', url]);
    expect([exit, stderr]).toEqual([
      2,
      expect.stringContaining('is a control plane; model servers are at http://127.0.0.1:7071'),
    ]);
  });

  it('fails when requests fail, and refuses a body that is not JSON', async () => {
    const { url } = await startTarget((count) => ({ status: count === 1 ? 200 : 500 }));
    const failed = await runCapturedCli(['load-test', url, '--duration', '0.1', '--concurrency', '1']);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain('requests failed');
    const usage = await runCapturedCli(['load-test', url, '--body', '{']);
    expect([usage.status, usage.stderr]).toEqual([2, expect.stringContaining('--body is not JSON')]);
  });
});
