import { Writable } from 'node:stream';
import { afterAll, afterEach, vi } from 'vitest';
import { createLogger } from '../../src/platform/index.ts';
import {
  type ModelServerOptions,
  type RunningModelServer,
  startModelServer,
} from '../../src/serving/index.ts';
import { createDesiredSource, type DesiredSource } from './desired-source.ts';
import { fixedClock } from './fixed-clock.ts';
import { tempDir } from './temp-dir.ts';

const running = { test: [] as RunningModelServer[], file: [] as RunningModelServer[] };
const stopAll = async (servers: RunningModelServer[]): Promise<void> => {
  await Promise.all(servers.splice(0).map((server) => server.stop()));
};

afterEach(() => stopAll(running.test));
afterAll(() => stopAll(running.file));

export interface Answer {
  status: number;
  body: any;
  headers: Headers;
}

export interface TestModelServer extends RunningModelServer {
  source: DesiredSource;
  cacheDir: string;
  /** The lines that were logged so far, parsed. */
  log: Record<string, any>[];
  get(path: string): Promise<Answer>;
  post(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** Waits until `/ready` says this. */
  until(check: (ready: { status: number; body: any }) => boolean): Promise<void>;
  /** Waits until a model answers with this version. */
  serves(name: string, version: string): Promise<void>;
}

/** A model server on a free port, with a source of its own; it is stopped after the test, or after the file. */
export async function startTestModelServer(
  options: Partial<ModelServerOptions> & { source?: DesiredSource; lifetime?: 'test' | 'file' } = {},
): Promise<TestModelServer> {
  const { source = createDesiredSource(), cacheDir = tempDir(), lifetime = 'test', ...rest } = options;
  const log: Record<string, any>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const server = await startModelServer({
    resolveDesiredState: source.resolveDesiredState,
    fetchModel: source.fetchModel,
    cacheDir,
    logger: createLogger({ level: 'debug', name: 'serve', destination }),
    clock: fixedClock(),
    host: '127.0.0.1',
    port: 0,
    version: '1.2.3',
    verifyResponses: true,
    random: () => 0.5,
    ...rest,
  });
  running[lifetime].push(server);

  async function ask(path: string, init?: RequestInit): Promise<Answer> {
    const response = await fetch(server.url + path, init);
    const text = await response.text();
    const isJson = response.headers.get('content-type')?.startsWith('application/json');
    return { status: response.status, body: isJson ? JSON.parse(text) : text, headers: response.headers };
  }

  const wait = { timeout: 30_000, interval: 5 };
  return {
    ...server,
    source,
    cacheDir,
    log,
    get: (path) => ask(path),
    post: (path, body, headers) =>
      ask(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async until(check) {
      await vi.waitFor(async () => {
        const answer = await ask('/ready');
        if (!check(answer)) throw new Error(`/ready says ${answer.status} ${JSON.stringify(answer.body)}`);
      }, wait);
    },
    async serves(name, version) {
      await vi.waitFor(async () => {
        const { body } = await ask(`/models/${encodeURIComponent(name)}`);
        if (body.version !== version) throw new Error(`${name} answers ${JSON.stringify(body)}`);
      }, wait);
    },
  };
}
