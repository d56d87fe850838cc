import type { Io } from './terminal.ts';

/** A signal that fires when the user, or whoever runs the process, asks it to end; a test passes its own. */
export function interruption(io: Io): AbortSignal {
  if (io.signal) return io.signal;
  const controller = new AbortController();
  let firstAt = 0;
  const stop = () => {
    const now = Date.now();
    // The launcher and the terminal may both deliver one ^C; a real second one ends at once.
    if (firstAt > 0 && now - firstAt > 1000) process.exit(130);
    firstAt ||= now;
    controller.abort();
  };
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, stop);
  watchParent(io, stop);
  return controller.signal;
}

/**
 * Under npx and npm run no signal arrives when they are told to end, and a killed launcher cannot forward one: then
 * the change of the parent process is the sign.
 */
function watchParent({ env }: Io, onChange: () => void): void {
  if (!env['npm_command'] && !env['_TIDEMILL_LAUNCHER']) return;
  const parent = process.ppid;
  const timer = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(timer);
    onChange();
  }, 500);
  timer.unref();
}

/** Settles when the signal fires. */
export function whenAborted(signal: AbortSignal): Promise<'stopped'> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve('stopped');
    else signal.addEventListener('abort', () => resolve('stopped'), { once: true });
  });
}

/**
 * Settles when the signal fires.
 *
 * @throws the error that a server failed with before
 */
export function stoppedOrFailed(signal: AbortSignal, failed: Promise<Error>): Promise<'stopped'> {
  return Promise.race([
    whenAborted(signal),
    failed.then((error) => {
      throw error;
    }),
  ]);
}
