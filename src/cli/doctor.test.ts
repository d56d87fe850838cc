import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { tempDir } from '../../tests/support/index.ts';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';
import { checkClock, checkDuckDb, checkFolder, checkNode, checkOnnxRuntime, checkPort } from './doctor.ts';

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

async function readyServer(status = 200): Promise<string> {
  const server = createServer((_request, response) => {
    response.writeHead(status).end(JSON.stringify({ status: status === 200 ? 'ready' : 'loading iris' }));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  servers.push(server);
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

describe('tidemill doctor', () => {
  it('finds this machine fit, with both servers there', async () => {
    const [url, serveUrl] = [await readyServer(), await readyServer(503)];
    const local = ['--port', '0', '--serve-port', '0', '--data', join(tempDir(), 'new')];
    const servers = ['--url', url, '--serve-url', serveUrl];
    const { json, status } = await runCapturedCli(['doctor', '--json', ...servers, ...local]);
    expect(status).toBe(0);
    const found = (check: string) =>
      json.findings.find((finding: { check: string }) => finding.check === check);
    expect(json.ok).toBe(true);
    expect(found('onnx runtime').verdict).toBe('ok');
    expect(found('duckdb').verdict).toBe('ok');
    expect(found('data folder').found).toContain('can be made');
    expect(found('control plane')).toMatchObject({ verdict: 'ok', found: `${url} is ready` });
    expect(found('model server').found).toContain('503 to /ready: loading iris');
    expect(found('clock').verdict).toBe('ok');
  });

  it('says what to do where something is missing, with status 1 where it cannot work', async () => {
    const url = await readyServer();
    const port = new URL(url).port;
    const local = ['--port', port, '--serve-port', '0', '--data', tempDir()];
    const nobody = ['--url', 'http://127.0.0.1:9', '--serve-url', 'http://127.0.0.1:9'];
    const { status, stdout } = await runCapturedCli(['doctor', ...local, ...nobody]);
    expect(status).toBe(1);
    const lines = stdout.split('\n');
    const at = (text: string) => lines.findIndex((line) => line.includes(text));
    expect(at('a platform started from here')).toBeLessThan(at(' data folder'));
    expect(at('the servers that commands from here')).toBeLessThan(at(' control plane'));
    expect(stdout).toContain(`${port} is taken by another program`);
    expect(stdout).toContain('start it with `npx tidemill up`');
  });

  it('looks at what the environment sets, as `up` would', async () => {
    const port = new URL(await readyServer()).port;
    const folder = join(tempDir(), 'set');
    const env = { TIDEMILL_PORT: port, TIDEMILL_SERVE_PORT: '0', TIDEMILL_DATA: folder };
    const { json } = await runCapturedCli(['doctor', '--json', '--url', 'http://127.0.0.1:9'], { env });
    const found = json.findings.map((finding: { found: string }) => finding.found).join('\n');
    expect(found).toContain(`${folder} can be made`);
    expect(found).toContain(`${port} is taken by another program`);
  });

  it('names a remedy for each thing that can be wrong', async () => {
    const broken = () => Promise.reject(new Error('cannot open shared object file\nand more'));
    expect(checkNode('24.14.1')).toMatchObject({
      verdict: 'failed',
      remedy: expect.stringContaining('24.15'),
    });
    expect(checkNode('26.0.0').verdict).toBe('ok');
    expect(await checkOnnxRuntime(broken)).toMatchObject({
      found: 'does not load: cannot open shared object file',
      remedy: expect.stringContaining('ONNXRUNTIME_NODE_INSTALL=skip'),
    });
    expect(await checkDuckDb(broken)).toMatchObject({ verdict: 'failed' });
    expect(await checkFolder('/proc/nowhere/data')).toMatchObject({
      verdict: 'failed',
      remedy: expect.stringContaining('--data'),
    });
    const url = await readyServer();
    expect(await checkPort('port', Number(new URL(url).port), '--port', true)).toMatchObject({
      verdict: 'ok',
    });
    expect(checkClock('Tue, 14 Nov 2023 22:13:20 GMT', 1_700_000_060_000)).toMatchObject({
      verdict: 'warning',
      found: "60 s apart from the server's",
    });
  });
});
