import type { Logger } from '../logging.ts';
import type { App } from './app-type.ts';
import type { HotLane } from './hot-route.ts';
import type { HostPolicy } from './request-origin.ts';
import type { Connections } from './watch-connections.ts';

/** What the platform keeps beside an app, for `listen`, `stopGracefully` and `addHotRoute`. */
export interface AppState {
  hosts: HostPolicy;
  hotLane: HotLane;
  logger: Logger;
  stop: AbortController;
  connections: Connections;
  verifyResponses: boolean;
  stopped?: Promise<void>;
}

// By the server, because plugins see instances of their own that share it.
const states = new WeakMap<object, AppState>();

export function keepState(app: App, state: AppState): void {
  states.set(app.server, state);
}

export function stateOf(app: App): AppState {
  const state = states.get(app.server);
  if (!state) throw new Error('This app was not made by createApp');
  return state;
}
