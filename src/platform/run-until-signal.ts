import type { EventEmitter } from 'node:events';
import type { Logger } from './logging.ts';

/** The part of `process` that tells when to stop. */
export interface StopSource extends EventEmitter {
  readonly ppid: number;
  readonly connected?: boolean;
}

export interface RunOptions {
  /** Ends everything; called once. */
  stop: () => Promise<void>;
  logger: Logger;
  /** The process itself. */
  source: StopSource;
  /** Also stop when the parent is gone: set it under npx (`npm_command` is in the environment), which passes no signal on. */
  watchParent?: boolean;
  /** Default 500 ms. */
  parentCheckMs?: number;
}

/**
 * Waits for SIGTERM, SIGINT, the end of the parent's IPC channel or (under npx) of the parent, then stops. Gives the
 * exit code: 0 after a clean stop, 1 when stopping failed, 130 or 143 when a second signal came before it was done.
 */
export function runUntilSignal(options: RunOptions): Promise<number> {
  const { source, logger } = options;
  return new Promise((resolve) => {
    let stopping = false;
    let parentCheck: NodeJS.Timeout | undefined;

    function begin(reason: string, secondTimeCode?: number): void {
      if (stopping) {
        if (secondTimeCode !== undefined) finish(secondTimeCode);
        return;
      }
      stopping = true;
      logger.info({ reason }, 'stopping');
      options.stop().then(
        () => finish(0),
        (error: unknown) => {
          logger.error({ err: error }, 'stopping failed');
          finish(1);
        },
      );
    }

    const onInterrupt = () => begin('SIGINT', 130);
    const onTerminate = () => begin('SIGTERM', 143);
    const onDisconnect = () => begin("the parent's channel closed");

    function finish(code: number): void {
      clearInterval(parentCheck);
      source.off('SIGINT', onInterrupt).off('SIGTERM', onTerminate).off('disconnect', onDisconnect);
      resolve(code);
    }

    source.on('SIGINT', onInterrupt).on('SIGTERM', onTerminate).on('disconnect', onDisconnect);
    if (options.watchParent) {
      const parent = source.ppid;
      parentCheck = setInterval(() => {
        if (source.ppid !== parent) begin('the parent is gone');
      }, options.parentCheckMs ?? 500);
    }
  });
}
