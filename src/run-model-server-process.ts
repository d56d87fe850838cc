import type { EventEmitter } from 'node:events';
import type { ModelServerOptions } from './main.ts';
import type { Environment } from './platform/index.ts';
import type { ChildMessage } from './supervise-child.ts';

/** The part of `process` that a supervised child uses. */
export interface ParentChannel extends EventEmitter {
  send?(message: ChildMessage, onSent: (error: Error | null) => void): unknown;
}

/**
 * Runs a model server on behalf of `up` until the parent says stop, or is gone; answers the exit status. An
 * interrupt is left to the parent, which gets it too.
 */
export async function runModelServerProcess({
  channel,
  options,
  controlPlaneUrl,
  env,
}: {
  channel: ParentChannel;
  options: Promise<ModelServerOptions>;
  /** Known once the control plane listens; until then the cached models load. */
  controlPlaneUrl: Promise<string>;
  env: Environment;
}): Promise<number> {
  // A parent that dies just now hears nothing, and its end is heard by itself: no reason to fall over.
  const tell = (message: ChildMessage) => void channel.send?.(message, () => {});
  const stop = new Promise<'stop'>((resolve) => {
    channel.on('message', (message: { type: string }) => {
      if (message.type === 'stop') resolve('stop');
    });
    channel.on('disconnect', () => resolve('stop'));
    channel.on('SIGTERM', () => resolve('stop'));
    channel.on('SIGINT', () => {});
  });
  try {
    const { startModelServerFromOptions } = await import('./start-model-server.ts');
    const chosen = await Promise.race([options, stop]);
    if (chosen === 'stop') return 0;
    // A stop before the control plane is known must not wait for it.
    const known = Promise.race([
      controlPlaneUrl,
      stop.then(() => Promise.reject<never>(new Error('the model server is stopping'))),
    ]);
    known.catch(() => {});
    const server = await startModelServerFromOptions({ ...chosen, controlPlaneUrl: known, env });
    tell({ type: 'listening', url: server.url });
    void server.ready.then(
      () => tell({ type: 'ready' }),
      // A server that ends before it was ready has said why in its log.
      () => {},
    );
    await stop;
    await server.stop();
    return 0;
  } catch (error) {
    tell({ type: 'failed', message: error instanceof Error ? error.message : String(error) });
    return 1;
  }
}
