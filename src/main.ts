import { join } from 'node:path';
import type { LoadedProject } from './pipelines/index.ts';
import type { ClockKind, Environment } from './platform/index.ts';
import type { RunningServer } from './start-server.ts';
import { superviseChild } from './supervise-child.ts';

export interface PlatformOptions {
  dataDir: string;
  host: string;
  port: number;
  servePort: number;
  allowInsecure?: boolean;
  /** What tells the time here and in the model server; the machine's clock unless said. */
  clockKind?: ClockKind;
  env: Environment;
  version: string;
  /** What the models' project file says. */
  project?: LoadedProject;
  /** Hears what an operator should know: restarts of the model server. */
  say: (message: string) => void;
}

export interface Platform {
  url: string;
  serveUrl: string;
  /** Settles when every desired model is warm in the model server; the control plane is ready before. */
  ready: Promise<void>;
  /** Settles only when the control plane can write no more; then the platform must be stopped. */
  failed: Promise<Error>;
  modelServerPid(): number | undefined;
  stop(): Promise<void>;
}

/** Options of the forked model server, as `model-server-process.ts` receives them. */
export interface ModelServerOptions {
  /** Not known before the control plane listens. */
  controlPlaneUrl?: string;
  cacheDir: string;
  host: string;
  port: number;
  allowInsecure: boolean;
  clockKind: ClockKind;
  version: string;
}

/**
 * Composition root of `up`: the control plane in this process and, beside it, a model server as a child process that
 * is started again when it dies. Both start in parallel; a failure of either ends the other.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const {
    dataDir,
    host,
    port,
    servePort,
    allowInsecure = false,
    clockKind = 'wall',
    env,
    version,
    project,
    say,
  } = options;
  const modelServer = superviseChild<ModelServerOptions>({
    entry: new URL(`./model-server-process${import.meta.url.slice(-3)}`, import.meta.url),
    options: { cacheDir: join(dataDir, 'serving'), host, port: servePort, allowInsecure, clockKind, version },
    env,
    say,
  });
  let serveUrl: string | undefined;
  const listening = modelServer.listening.then((url) => {
    serveUrl = url;
    return url;
  });
  // Awaited below; until then a failing child must not count as unhandled.
  listening.catch(() => {});
  const { startServer } = await import('./start-server.ts');
  let server: RunningServer | undefined;
  try {
    server = await startServer({
      dataDir,
      host,
      port,
      allowInsecure,
      clockKind,
      env,
      version,
      ...(project && { project }),
      modelServers: () => (serveUrl === undefined ? [] : [serveUrl]),
    });
    modelServer.update({ controlPlaneUrl: server.url });
    return platformOf(server, await listening);
  } catch (error) {
    await Promise.all([modelServer.stop(), server?.stop()]);
    throw error;
  }

  function platformOf(started: RunningServer, listeningAt: string): Platform {
    let stopped: Promise<void> | undefined;
    return {
      url: started.url,
      serveUrl: listeningAt,
      ready: modelServer.ready,
      failed: started.failed,
      modelServerPid: () => modelServer.pid(),
      stop() {
        stopped ??= modelServer.stop().then(() => started.stop());
        return stopped;
      },
    };
  }
}
