import { ApiError } from '../errors.ts';
import { stateOf } from './app-state.ts';
import type { App } from './app-type.ts';

export interface StopOptions {
  /** How long requests in flight may take to finish before their connections are cut; default 30 seconds. */
  graceMs?: number;
  /** How long to answer as unready before connections are refused, so that a load balancer can turn away; default 0. */
  unreadyMs?: number;
}

const CLOSE_IDLE_MS = 20;

/**
 * Stops an app: aborts `app.stopSignal` (readiness answers no, long polls end), refuses new connections, lets what
 * is in flight finish, then runs the `onClose` hooks. Asked again, it gives the same promise.
 */
export function stopGracefully(app: App, options: StopOptions = {}): Promise<void> {
  const state = stateOf(app);
  state.stopped ??= stop(app, options);
  return state.stopped;
}

async function stop(app: App, { graceMs = 30_000, unreadyMs = 0 }: StopOptions): Promise<void> {
  const { stop, connections, logger } = stateOf(app);
  // The reason is what a request is answered with whose work ends by it.
  stop.abort(new ApiError('TEMPORARILY_UNAVAILABLE', 'The server is stopping; try again when it is back'));
  if (unreadyMs > 0) await new Promise((resolve) => setTimeout(resolve, unreadyMs));
  const cut = setTimeout(() => {
    logger.warn({ grace_ms: graceMs }, 'requests did not finish in time; their connections are cut');
    app.server.closeAllConnections();
  }, graceMs);
  // Node closes the idle connections once; those of requests in flight become idle later, and clients keep them.
  const closeIdle = setInterval(connections.closeIdle, CLOSE_IDLE_MS);
  try {
    await app.close();
  } finally {
    clearInterval(closeIdle);
    clearTimeout(cut);
  }
}
