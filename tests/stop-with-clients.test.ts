import { spawn } from 'node:child_process';
import { Agent, get } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { tempDir } from './support/index.ts';

const BIN = fileURLToPath(new URL('../bin/tidemill.js', import.meta.url));

/** A client that keeps its connection after an answer, and one that connects and sends nothing. */
async function holdConnections(url: string): Promise<void> {
  const agent = new Agent({ keepAlive: true });
  await new Promise<void>((resolve, reject) => {
    get(`${url}/health`, { agent }, (response) => {
      response.resume().on('end', resolve);
    }).on('error', reject);
  });
  const { hostname, port } = new URL(url);
  const silent = connect(Number(port), hostname);
  silent.on('error', () => {});
  await new Promise((resolve) => silent.once('connect', resolve));
  onTestFinished(() => {
    agent.destroy();
    silent.destroy();
  });
}

/** Starts a command on free ports and answers the URLs that it printed when it was ready. */
async function startCommand(argv: string[]) {
  const child = spawn(process.execPath, [BIN, ...argv, '--json', '--data', join(tempDir(), 'data')], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TIDEMILL_LOG_LEVEL: 'silent' },
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  const line = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).once('line', resolve);
    void exited.then((status) => reject(new Error(`${argv[0]} ended with ${status} before it was ready`)));
  });
  const document = JSON.parse(line) as { url: string; serve_url?: string };
  return { child, exited, document };
}

/** Asks a process to end, and answers its status and how long that took. */
async function terminate({ child, exited }: Awaited<ReturnType<typeof startCommand>>) {
  const askedAt = performance.now();
  child.kill('SIGTERM');
  return { status: await exited, ms: performance.now() - askedAt };
}

/** Well below the 25 s of a long poll and the 30 s of grace, and enough for a busy machine. */
const SOON_MS = 15_000;

describe('SIGTERM while clients hold their connections', () => {
  it('ends up within seconds', { timeout: 60_000 }, async () => {
    const up = await startCommand(['up', '--port', '0']);
    await holdConnections(up.document.url);
    await holdConnections(String(up.document.serve_url));
    const { status, ms } = await terminate(up);
    expect(status).toBe(0);
    expect(ms).toBeLessThan(SOON_MS);
  });

  it('ends server and serve within seconds', { timeout: 60_000 }, async () => {
    const server = await startCommand(['server', '--port', '0']);
    // Serve holds a long poll open at the server, which must not keep the server either.
    const serve = await startCommand(['serve', '--serve-port', '0', '--url', server.document.url]);
    await holdConnections(server.document.url);
    await holdConnections(String(serve.document.serve_url));
    const ended = await terminate(server);
    expect(ended.status).toBe(0);
    expect(ended.ms).toBeLessThan(SOON_MS);
    const second = await terminate(serve);
    expect(second.status).toBe(0);
    expect(second.ms).toBeLessThan(SOON_MS);
  });
});
