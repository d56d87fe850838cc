import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const BIN = fileURLToPath(new URL('../../bin/tidemill.js', import.meta.url));

export interface SpawnedPlatform {
  url: string;
  serveUrl: string;
  child: ChildProcess;
  /** The model server's process id. */
  servePid: number;
  /** The document that `up --json` printed. */
  document: Record<string, unknown>;
  /** What the processes wrote to stderr so far. */
  stderr(): string;
  /** Asks it to end and answers its exit code. */
  stop(): Promise<number | null>;
  /** kill -9 of the main process; settles when it is gone. */
  kill(): Promise<void>;
}

/** Starts `tidemill up --json` as a process of its own on free ports, and waits until both servers are ready. */
export async function spawnPlatform({
  dataDir,
  args = [],
  cwd,
  bin = BIN,
  node = process.execPath,
  env = process.env,
  readyWithinMs = 60_000,
}: {
  dataDir: string;
  args?: string[];
  /** Where it starts: the folder whose project it runs. */
  cwd?: string;
  bin?: string;
  node?: string;
  env?: Record<string, string | undefined>;
  readyWithinMs?: number;
}): Promise<SpawnedPlatform> {
  const line = ['up', '--json', '--port', '0', '--serve-port', '0', '--data', dataDir, ...args];
  const child = spawn(node, [bin, ...line], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env,
    ...(cwd !== undefined && { cwd }),
  });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const document = await new Promise<Record<string, unknown>>((resolve, reject) => {
    const limit = setTimeout(() => {
      child.kill('SIGKILL');
      reject(new Error(`the platform was not ready within ${readyWithinMs} ms:\n${stderr}`));
    }, readyWithinMs);
    createInterface({ input: child.stdout }).once('line', (text) => {
      clearTimeout(limit);
      resolve(JSON.parse(text) as Record<string, unknown>);
    });
    void exited.then((code) => {
      clearTimeout(limit);
      reject(new Error(`the platform ended with ${code} before it was ready:\n${stderr}`));
    });
  });
  return {
    url: String(document['url']),
    serveUrl: String(document['serve_url']),
    servePid: Number(document['serve_pid']),
    document,
    child,
    stderr: () => stderr,
    stop() {
      child.kill('SIGTERM');
      return exited;
    },
    async kill() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** POSTs JSON and answers status and body. */
export async function postJson(url: string, body: unknown): Promise<{ status: number; body: any }> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

/** GETs JSON and answers status and body. */
export async function getJson(url: string): Promise<{ status: number; body: any }> {
  const response = await fetch(url);
  return { status: response.status, body: await response.json() };
}
