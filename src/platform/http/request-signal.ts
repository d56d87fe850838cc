import type { ServerResponse } from 'node:http';
import { ApiError } from '../errors.ts';
import type { App } from './app-type.ts';

/** Aborted when the app starts to stop, or when whoever asked is no longer there to be answered. */
export function requestSignal(app: App, reply: { raw: ServerResponse }): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    gone.abort(new ApiError('BAD_REQUEST', 'Whoever asked closed the connection before the answer'));
  });
  return AbortSignal.any([gone.signal, app.stopSignal]);
}
