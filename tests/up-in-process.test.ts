import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { tempDir } from './support/index.ts';
import { runCapturedCli } from './support/run-captured-cli.ts';
import { getJson } from './support/spawn-platform.ts';

/** Runs a command that goes on until it is stopped; answers what it printed first, and a way to end it. */
async function runUntilStopped(argv: string[], { json = true } = {}) {
  const stop = new AbortController();
  const first = Promise.withResolvers<string>();
  const finished = runCapturedCli(json ? [...argv, '--json'] : argv, {
    env: { ...(process.env as Record<string, string>), TIDEMILL_LOG_LEVEL: 'silent' },
    signal: stop.signal,
    onStdout: (text) => {
      if (json || text.includes('ready')) first.resolve(text);
    },
  });
  const text = await Promise.race([
    first.promise,
    finished.then(({ stderr }) => Promise.reject(new Error(stderr))),
  ]);
  return {
    text,
    document: json ? JSON.parse(text) : undefined,
    async stop() {
      stop.abort();
      return finished;
    },
  };
}

const PORTS = ['--port', '0', '--serve-port', '0'];

describe('commands that keep running', () => {
  it('up starts both servers, prints one document when both are ready, and ends both', async () => {
    const dataDir = join(tempDir(), 'data');
    const up = await runUntilStopped(['up', ...PORTS, '--data', dataDir]);
    const { url, serve_url, serve_pid } = up.document;
    expect((await getJson(`${url}/ready`)).status).toBe(200);
    expect((await getJson(`${serve_url}/ready`)).status).toBe(200);
    expect((await getJson(`${url}/api/v1/status`)).body.model_servers).toEqual([serve_url]);

    process.kill(serve_pid, 'SIGKILL');
    const answers = () =>
      getJson(`${serve_url}/ready`).then(
        ({ status }) => status,
        () => 0,
      );
    await expect.poll(answers).toBe(200);

    const { status, stdout, stderr } = await up.stop();
    expect(status).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(stderr).toContain('the model server ended with SIGKILL; starting it again in 200 ms');
    await expect(fetch(`${url}/ready`)).rejects.toThrow('fetch failed');
    await expect(fetch(`${serve_url}/ready`)).rejects.toThrow('fetch failed');
  });

  it('up says in words where everything is, and names the remedy for a port in use', async () => {
    const up = await runUntilStopped(['up', ...PORTS, '--data', join(tempDir(), 'data')], { json: false });
    const port = /control plane +http:\/\/127\.0\.0\.1:(\d+)/.exec((await up.stop()).stdout)?.[1];
    expect(port).toBeDefined();

    const holder = await runUntilStopped(['up', ...PORTS, '--data', join(tempDir(), 'data')]);
    const taken = new URL(holder.document.serve_url).port;
    const other = join(tempDir(), 'data');
    const failed = await runCapturedCli(['up', '--port', '0', '--serve-port', taken, '--data', other]);
    expect(failed.status).toBe(1);
    expect(failed.stderr).toContain(`Port ${taken}`);
    expect(failed.stderr).toContain('--serve-port');
    await holder.stop();
  });

  it('refuses to listen beyond this machine unless told in words', async () => {
    const argv = ['server', '--port', '0', '--host', '0.0.0.0', '--data', join(tempDir(), 'data')];
    const refused = await runCapturedCli(argv);
    expect(refused.status).toBe(1);
    expect(refused.stderr).toContain('--insecure-no-auth');
    const told = await runUntilStopped([...argv, '--insecure-no-auth']);
    expect((await told.stop()).status).toBe(0);
  });

  it('server and serve are the two halves', async () => {
    const server = await runUntilStopped(['server', '--port', '0', '--data', join(tempDir(), 'data')]);
    const { url } = server.document;
    const serve = await runUntilStopped(['serve', '--serve-port', '0', '--url', url, '--data', tempDir()]);
    expect((await getJson(`${serve.document.serve_url}/ready`)).body).toMatchObject({ status: 'ready' });
    expect((await serve.stop()).status).toBe(0);
    expect((await server.stop()).status).toBe(0);
  });
});
