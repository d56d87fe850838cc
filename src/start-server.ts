import { existsSync, readdirSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { LoadedProject } from './pipelines/index.ts';
import {
  ApiError,
  type Clock,
  type ClockKind,
  createLogger,
  type Environment,
  type Logger,
  listen,
  openDatabase,
  stopGracefully,
} from './platform/index.ts';
import { loadControlPlaneConfig } from './settings.ts';

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
  /** `events`: the newest event that a model server reported tells the time. */
  clockKind?: ClockKind;
  /** What the models' project file says; without it the platform goes on by what it knows. */
  project?: LoadedProject;
  groupCommit?: boolean;
}

export interface RunningServer {
  url: string;
  /** Settles only when the server can write no more (its database thread died): whoever started it must end it. */
  failed: Promise<Error>;
  stop(): Promise<void>;
}

/** Composition root of the control plane: opens the database and the artifact store, wires every slice's routes, listens. */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { host, port, env, version, clockKind = 'wall' } = options;
  const config = loadControlPlaneConfig(env);
  const logger = options.logger ?? createLogger({ level: config.logLevel, name: 'server' });
  const dataDir = resolve(options.dataDir);
  await mkdir(dataDir, { recursive: true });
  const { promise: failed, resolve: onFatal } = Promise.withResolvers<Error>();
  const embedded = join(dataDir, 'tidemill.db');
  const databaseUrl = options.databaseUrl ?? config.databaseUrl;
  if (databaseUrl === undefined) refuseLostDatabase(embedded, join(dataDir, 'artifacts'));
  const opening = openDatabase({
    url: databaseUrl ?? `sqlite:${embedded}`,
    commandsModule: new URL(`./commands${import.meta.url.slice(-3)}`, import.meta.url),
    logger,
    groupCommit: options.groupCommit ?? true,
    onFatal,
  });
  // The slices load while the database opens; whichever fails is awaited below.
  const loading = import('./compose-server.ts');
  loading.catch(() => {});
  const database = await opening;
  try {
    const { composeServer } = await loading;
    const { app, loop } = await composeServer({
      database,
      config,
      logger,
      dataDir,
      version,
      clockKind,
      clock: options.clock,
      modelServers: options.modelServers ?? (() => []),
    });

    const allowInsecure = options.allowInsecure ?? false;
    let stopped: Promise<void> | undefined;
    const stop = () => {
      stopped ??= loop
        .stop()
        .then(() => stopGracefully(app))
        .then(() => database.close());
      return stopped;
    };
    const { url } = await listen(app, { host, port, allowInsecure }).catch(async (error: unknown) => {
      await stop();
      throw error;
    });
    try {
      if (options.project) await loop.pipelines.applyProject(options.project);
      await loop.begin();
    } catch (error) {
      await stop();
      throw error;
    }
    return { url, failed, stop };
  } catch (error) {
    await database.close();
    throw error;
  }
}

/** A folder with artifacts and no database has lost it: an empty one in its place would serve nothing, without a word. */
function refuseLostDatabase(databasePath: string, artifactsDir: string): void {
  const refs = join(artifactsDir, 'refs');
  if (existsSync(databasePath) || !existsSync(refs) || readdirSync(refs).length === 0) return;
  throw new ApiError(
    'INVALID_STATE',
    `${databasePath} is missing, but ${artifactsDir} holds what it described. Put the database back (tidemill restore lays out a backup), or move ${artifactsDir} away to begin anew.`,
  );
}
