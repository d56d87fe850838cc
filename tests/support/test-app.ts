import { Writable } from 'node:stream';
import { afterEach } from 'vitest';
import {
  type App,
  type AppOptions,
  createApp,
  createLogger,
  createMetrics,
  listen,
} from '../../src/platform/index.ts';
import { fixedClock } from './fixed-clock.ts';

const started: App[] = [];

afterEach(async () => {
  for (const app of started.splice(0)) {
    app.server.closeAllConnections();
    await app.close();
  }
});

export interface TestApp {
  app: App;
  /** The lines that were logged so far, parsed. */
  log: Record<string, any>[];
  /** Listens on a free port and gives the URL; the app is closed after the test. */
  start: () => Promise<string>;
}

/** An app that checks its answers against their contracts and keeps its log. */
export function createTestApp(options: Partial<AppOptions> = {}): TestApp {
  const log: Record<string, any>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      log.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const app = createApp({
    name: 'Test',
    version: '1.2.3',
    logger: createLogger({ level: 'debug', name: 'test', destination }),
    metrics: createMetrics(),
    clock: fixedClock(),
    verifyResponses: true,
    ...options,
  });
  started.push(app);
  return { app, log, start: async () => (await listen(app, { host: '127.0.0.1', port: 0 })).url };
}

/** The options of a `fetch` that posts JSON. */
export function postJson(body: unknown, headers: Record<string, string> = {}): RequestInit {
  return {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: typeof body === 'string' ? body : JSON.stringify(body),
  };
}
