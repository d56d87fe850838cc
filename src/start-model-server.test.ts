import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { createDesiredSource } from '../tests/support/desired-source.ts';
import { tempDir } from '../tests/support/index.ts';
import { irisModel, SETOSA } from '../tests/support/served-models.ts';
import type { DesiredState } from './serving/index.ts';
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
