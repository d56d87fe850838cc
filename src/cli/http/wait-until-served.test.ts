import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it, onTestFinished } from 'vitest';
import { createHttpClient } from './http-client.ts';
import { waitUntilServed } from './wait-until-served.ts';

async function listen(handle: RequestListener): Promise<string> {
  const server = createServer(handle);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  onTestFinished(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

async function platformWith(servers: string[]) {
  const url = await listen((_, answer) => answer.end(JSON.stringify({ model_servers: servers })));
  return createHttpClient({ url, remedy: 'it is part of the test' });
}

it('asks a model server again that was too slow once', async () => {
  let asked = 0;
  const url = await listen((_, answer) => {
    asked += 1;
    // The first question is never answered.
    if (asked > 1) answer.end(JSON.stringify({ models: [{ name: 'iris', version: '2' }] }));
  });
  const served = await waitUntilServed(await platformWith([url]), 'iris', '2', { probeMs: 200 });
  expect(served).toMatchObject({ model_servers: [url], live: true });
  expect(asked).toBeGreaterThan(1);
});

it('leaves a model server out that is gone', async () => {
  const gone = createServer();
  await new Promise<void>((done) => gone.listen(0, '127.0.0.1', done));
  const { port } = gone.address() as AddressInfo;
  await new Promise((done) => gone.close(done));
  const served = await waitUntilServed(await platformWith([`http://127.0.0.1:${port}`]), 'iris', '2');
  expect(served).toMatchObject({ model_servers: [], live: false });
});

it('says that a version is not live where a server still has another one', async () => {
  const url = await listen((_, answer) =>
    answer.end(JSON.stringify({ models: [{ name: 'iris', version: '1' }] })),
  );
  const served = await waitUntilServed(await platformWith([url]), 'iris', '2', { limitMs: 0 });
  expect(served).toMatchObject({ model_servers: [url], live: false });
});
