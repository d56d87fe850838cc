import { cpSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { createDesiredSource } from '../tests/support/desired-source.ts';
import { tempDir } from '../tests/support/index.ts';
import { irisModel, SETOSA } from '../tests/support/served-models.ts';
import { type DesiredState, RefusedError } from './serving/index.ts';
import { createControlPlaneClient, startModelServerFromOptions } from './start-model-server.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function listenWith(
  handle: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const never = new AbortController().signal;
const EMPTY: DesiredState = { revision: 'r1', models: [], not_servable: [] };

describe('a model server over HTTP', () => {
  it('follows a control plane and fetches from it, and starts before that is known', async () => {
    const bytes = irisModel();
    const champion = createDesiredSource().version('1', bytes);
    const asked: string[] = [];
    const url = await listenWith((request, response) => {
      asked.push(`${request.url} ${request.headers['if-none-match'] ?? ''}`.trim());
      if (request.url?.endsWith('/model')) response.end(bytes);
      else if (request.headers['if-none-match'] === undefined) {
        response.end(JSON.stringify({ ...EMPTY, models: [{ name: 'my iris', champion }] }));
      }
    });
    const known = Promise.withResolvers<string>();
    const server = await startModelServerFromOptions({
      controlPlaneUrl: known.promise,
      cacheDir: tempDir(),
      host: '127.0.0.1',
      port: 0,
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
      version: '1.0.0',
    });
    closing.unshift(() => server.stop());
    expect((await fetch(`${server.url}/ready`)).status).toBe(503);
    known.resolve(`${url}/`);
    await server.ready;
    const answer = await fetch(`${server.url}/predict`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ features: SETOSA }),
    });
    expect(await answer.json()).toMatchObject({ prediction: 'setosa', model_version: '1' });
    expect(asked).toContain('/api/v1/models/my%20iris/versions/1/model');
    expect(asked).toContain('/api/v1/serving/desired-state?wait_ms=25000 "r1"');
  });

  it('says in one line that the control plane is away', async () => {
    const said = Promise.withResolvers<string>();
    const gone = createServer();
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve));
    const { port } = gone.address() as AddressInfo;
    gone.close();
    const server = await startModelServerFromOptions({
      controlPlaneUrl: `http://127.0.0.1:${port}`,
      cacheDir: tempDir(),
      host: '127.0.0.1',
      port: 0,
      env: { TIDEMILL_LOG_LEVEL: 'silent' },
      version: '1.0.0',
      say: said.resolve,
    });
    closing.unshift(() => server.stop());
    expect(await said.promise).toMatch(
      /^the control plane does not answer \(.*ECONNREFUSED.*\); serving goes on/,
    );
    expect(await said.promise).not.toContain('\n');
  });

  it('refuses wrong settings by name', async () => {
    const started = startModelServerFromOptions({
      controlPlaneUrl: 'http://127.0.0.1:1',
      cacheDir: tempDir(),
      host: '127.0.0.1',
      port: 0,
      env: { TIDEMILL_PREDICT_MAX_ROWS: 'many' },
      version: '1.0.0',
    });
    await expect(started).rejects.toThrow('TIDEMILL_PREDICT_MAX_ROWS=many is wrong');
  });
});

describe('what is asked of the control plane', () => {
  it('takes 304 for no change, and every other answer for a failure that says what came', async () => {
    let answer: [number, string] = [304, ''];
    const url = await listenWith((_request, response) => response.writeHead(answer[0]).end(answer[1]));
    const { resolveDesiredState, fetchModel } = createControlPlaneClient(url);
    expect(await resolveDesiredState('r1', never)).toBeUndefined();
    answer = [200, JSON.stringify(EMPTY)];
    expect(await resolveDesiredState(undefined, never)).toEqual(EMPTY);
    answer = [200, '{"revision":1}'];
    await expect(resolveDesiredState(undefined, never)).rejects.toThrow('revision');
    answer = [404, 'no such version'];
    const model = { name: 'm', version: '1', sha256: 'x' };
    await expect(fetchModel(model, never)).rejects.toThrow('answered 404: no such version');
  });

  it('ends when it is told to stop, and fails when nobody listens', async () => {
    const url = await listenWith(() => {});
    const stop = new AbortController();
    const waiting = createControlPlaneClient(url).resolveDesiredState('r1', stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/i);
    const nobody = createControlPlaneClient('http://127.0.0.1:1');
    await expect(nobody.resolveDesiredState(undefined, never)).rejects.toThrow('ECONNREFUSED');
    await expect(
      createControlPlaneClient('https://127.0.0.1:1').resolveDesiredState('r', never),
    ).rejects.toThrow('ECONNREFUSED');
  });
});

describe('what is brought to the control plane', () => {
  const name = { kind: 'predictions', replica: 'r-1', incarnation: 'i-1', sequence: 7 } as const;

  function segment(text: string, bytes = text.length) {
    const path = join(tempDir(), 'segment.ndjson');
    writeFileSync(path, text);
    return { path, bytes, sha256: 'digest' };
  }

  it('puts the first bytes of a segment under its name, with its digest, and reports with its reporter', async () => {
    const asked: unknown[] = [];
    const url = await listenWith((request, response) => {
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        const {
          'content-length': length,
          'content-type': type,
          'x-content-sha256': digest,
        } = request.headers;
        asked.push({ method: request.method, url: request.url, length, type, digest, body });
        response.writeHead(asked.length === 1 ? 200 : 204).end();
      });
    });
    const { shipSegment, reportProfiles } = createControlPlaneClient(url);
    await shipSegment(name, segment('{"id":"1"}\n{"torn', 11), never);
    const report = { watermark: 5, dropped: 0, entries: [] };
    await reportProfiles({ replica: 'r-1', incarnation: 'i-1' }, report, never);
    expect(asked).toEqual([
      {
        method: 'PUT',
        url: '/api/v1/serving/segments/predictions/r-1/i-1/7',
        length: '11',
        type: 'application/x-ndjson',
        digest: 'digest',
        body: '{"id":"1"}\n',
      },
      {
        method: 'PUT',
        url: '/api/v1/serving/profiles/r-1/i-1',
        length: String(JSON.stringify(report).length),
        type: 'application/json',
        digest: undefined,
        body: JSON.stringify(report),
      },
    ]);
  });

  it('takes a conflict or a malformed body for a refusal, and anything else for a reason to try again', async () => {
    let status = 409;
    const url = await listenWith((request, response) => {
      request.resume().on('end', () => response.writeHead(status).end('why'));
    });
    const { shipSegment, reportProfiles } = createControlPlaneClient(url);
    for (status of [400, 409, 413, 422]) {
      await expect(shipSegment(name, segment('{}\n'), never)).rejects.toThrow(RefusedError);
    }
    for (status of [401, 404, 429, 500, 503]) {
      const failed = shipSegment(name, segment('{}\n'), never);
      await expect(failed).rejects.not.toThrow(RefusedError);
      await expect(failed).rejects.toThrow(`answered ${status}: why`);
    }
    status = 503;
    const report = { watermark: null, dropped: 0, entries: [] };
    await expect(reportProfiles({ replica: 'r', incarnation: 'i' }, report, never)).rejects.toThrow('503');
  });

  it('hears a refusal that comes before a large segment was read', async () => {
    const url = await listenWith((_request, response) => response.writeHead(413).end('too large'));
    const { shipSegment } = createControlPlaneClient(url);
    const large = segment(`${'x'.repeat(8 * 1024 * 1024)}\n`);
    await expect(shipSegment(name, large, never)).rejects.toThrow(/too large|EPIPE|ECONNRESET|closed/);
  });

  it('ends when it is told to stop, fails when nobody listens, and when the file is gone', async () => {
    const silent = await listenWith(() => {});
    const stop = new AbortController();
    const waiting = createControlPlaneClient(silent).shipSegment(name, segment('{}\n'), stop.signal);
    stop.abort();
    await expect(waiting).rejects.toThrow(/abort/i);
    const nobody = createControlPlaneClient('http://127.0.0.1:1');
    await expect(nobody.shipSegment(name, segment('{}\n'), never)).rejects.toThrow('ECONNREFUSED');
    const missing = { path: join(tempDir(), 'gone'), bytes: 3, sha256: 'x' };
    await expect(createControlPlaneClient(silent).shipSegment(name, missing, never)).rejects.toThrow(
      'ENOENT',
    );
  });
});

describe('a model server with the clock of events', () => {
  const EVENT = Date.UTC(2001, 3, 1);

  /** A control plane that serves one model, and keeps the lines that it is sent, unless it is closed to them. */
  async function takeLines() {
    const bytes = irisModel();
    const champion = createDesiredSource().version('1', bytes);
    const lines: any[] = [];
    const state = { isOpen: true };
    const url = await listenWith((request, response) => {
      if (request.url?.endsWith('/model')) return void response.end(bytes);
      if (request.method === 'GET') {
        if (request.headers['if-none-match'] === undefined)
          response.end(JSON.stringify({ ...EMPTY, models: [{ name: 'iris', champion }] }));
        return;
      }
      let body = '';
      request.on('data', (chunk: Buffer) => (body += chunk.toString()));
      request.on('end', () => {
        if (!state.isOpen) response.statusCode = 503;
        else if (request.url?.includes('/segments/'))
          lines.push(
            ...body
              .trim()
              .split('\n')
              .map((line) => JSON.parse(line)),
          );
        response.end('{}');
      });
    });
    return { url, lines, state };
  }

  async function start(controlPlaneUrl: string, cacheDir: string) {
    const server = await startModelServerFromOptions({
      controlPlaneUrl,
      cacheDir,
      host: '127.0.0.1',
      port: 0,
      clockKind: 'events',
      env: { TIDEMILL_LOG_LEVEL: 'silent', TIDEMILL_REPORT_MS: '10' },
      version: '1.0.0',
    });
    closing.unshift(() => server.stop());
    await server.ready;
    const post = (path: string, body: object) =>
      fetch(server.url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
    return { post, stop: () => server.stop() };
  }

  const untilLines = (lines: any[], count: number) =>
    vi.waitFor(() => expect(lines).toHaveLength(count), { timeout: 20_000, interval: 5 });

  it('stamps what comes without a time with the newest event before it', async () => {
    const { url, lines } = await takeLines();
    const { post } = await start(url, tempDir());
    await post('/predict', { features: SETOSA, timestamp: '2001-04-01T00:00:00Z' });
    await post('/predict', { features: SETOSA });
    await post('/feedback', { prediction_id: 'x', label: 'setosa' });
    await untilLines(lines, 3);
    expect(lines.map(({ t }) => t)).toEqual(Array(3).fill(EVENT));
  });

  it('goes on at the newest event after a stop', async () => {
    const { url, lines } = await takeLines();
    const cacheDir = tempDir();
    const first = await start(url, cacheDir);
    await first.post('/predict', { features: SETOSA, timestamp: EVENT });
    await first.stop();
    // A start without any event keeps it for the next one too.
    await (await start(url, cacheDir)).stop();
    await (await start(url, cacheDir)).post('/predict', { features: SETOSA });
    await untilLines(lines, 2);
    expect(lines.map(({ t }) => t)).toEqual([EVENT, EVENT]);
  });

  it.each([
    ['had shipped', true],
    ['had not shipped yet', false],
  ])('goes on at the newest event after a sudden death, which it %s', async (_, isOpen) => {
    const { url, lines, state } = await takeLines();
    state.isOpen = isOpen;
    const cacheDir = tempDir();
    const dying = await start(url, cacheDir);
    await dying.post('/predict', { features: SETOSA, timestamp: EVENT });
    if (isOpen) await untilLines(lines, 1);
    // A file may go while it is copied.
    const left = await vi.waitFor(() => {
      const copy = tempDir();
      cpSync(cacheDir, copy, { recursive: true });
      return copy;
    });
    state.isOpen = true;
    for (let restart = 1; restart <= 2; restart++) {
      const { post, stop } = await start(url, left);
      await post('/predict', { features: SETOSA });
      await vi.waitFor(() => expect(lines.length).toBeGreaterThan(restart), { timeout: 20_000, interval: 5 });
      await stop();
    }
    expect(new Set(lines.map(({ t }) => t))).toEqual(new Set([EVENT]));
  });
});
