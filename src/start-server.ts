import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { z } from 'zod';
import { createLocalArtifactStore } from './artifacts/index.ts';
import {
  type Clock,
  createApp,
  createLogger,
  createMetrics,
  type Environment,
  LOG_LEVELS,
  type Logger,
  listen,
  loadConfig,
  openDatabase,
  stopGracefully,
  systemClock,
} from './platform/index.ts';
import { trackingRoutes } from './tracking/index.ts';

const serverConfig = z.object({
  TIDEMILL_LOG_LEVEL: z
    .enum(LOG_LEVELS)
    .default('warn')
    .describe(`one of ${LOG_LEVELS.join(', ')}`),
  TIDEMILL_ALLOWED_HOSTS: z.string().default('').describe('host names, separated by commas'),
});

export interface ServerOptions {
  dataDir: string;
  host: string;
  port: number;
  allowInsecure?: boolean;
  /** `postgres://…`; without it the embedded SQLite database in `dataDir`. */
  databaseUrl?: string;
  env: Environment;
  version: string;
  /** URLs of the model servers that belong to this control plane, for `GET /api/v1/status`. */
  modelServers?: () => string[];
  logger?: Logger;
  clock?: Clock;
  groupCommit?: boolean;
}

export interface RunningServer {
  url: string;
  stop(): Promise<void>;
}

/** Composition root of the control plane: opens the database and the artifact store, wires every slice's routes, listens. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, env, version, clock = systemClock } = options;
  const config = loadConfig(serverConfig, env);
  const logger = options.logger ?? createLogger({ level: config.TIDEMILL_LOG_LEVEL, name: 'server' });
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  const database = await openDatabase({
    url: options.databaseUrl ?? env['DATABASE_URL'] ?? `sqlite:${join(dataDir, 'tidemill.db')}`,
    commandsModule: new URL(`./commands${import.meta.url.slice(-3)}`, import.meta.url),
    logger,
    groupCommit: options.groupCommit ?? true,
  });
  try {
    const artifacts = createLocalArtifactStore({ root: join(dataDir, 'artifacts') });
    const app = createApp({
      name: 'Tidemill',
      version,
      logger,
      metrics: createMetrics(),
      clock,
      allowedHosts: config.TIDEMILL_ALLOWED_HOSTS.split(',').filter((name) => name !== ''),
    });
    await app.register(trackingRoutes({ database, artifacts, clock }));
    const { url } = await listen(app, { host, port, allowInsecure: options.allowInsecure ?? false });
    let stopped: Promise<void> | undefined;
    return {
      url,
      stop() {
        stopped ??= stopGracefully(app).then(() => database.close());
        return stopped;
      },
    };
  } catch (error) {
    await database.close();
    throw error;
  }
}
