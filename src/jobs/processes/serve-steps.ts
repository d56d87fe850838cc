import { ApiError, endWithParent, nearestName, sendToParent } from '../../platform/index.ts';
import { type FromChild, type StepTask, type ToChild, toWire } from './step-messages.ts';

/** What a handler works with; the same calls as in a step. */
export interface HandlerContext {
  signal: AbortSignal;
  log: (line: string) => void;
  progress: (done: number, note?: string) => void;
}

export type StepHandler = (input: any, context: HandlerContext) => Promise<unknown>;

/** How often progress is told at most. */
const PROGRESS_MS = 50;

/**
 * What a step process calls: takes tasks from its parent, one after the other, and ends with it. On SIGTERM the task's
 * signal is aborted and the process ends when the task has; the parent kills what takes too long.
 */
export function serveSteps(handlers: Record<string, StepHandler>): void {
  if (process.send === undefined) {
    throw new ApiError('INVALID_STATE', 'A step process is started by the platform, not by hand');
  }
  let running: AbortController | undefined;
  let isStopping = false;
  const send = (message: FromChild) => sendToParent(message);

  endWithParent();
  process.on('SIGINT', () => {}); // Ctrl-C is for the parent, who tells what is to end.
  process.on('SIGTERM', () => {
    isStopping = true;
    if (running === undefined) process.exit();
    else running.abort(new ApiError('TEMPORARILY_UNAVAILABLE', 'The step was told to stop'));
  });

  async function run(id: number, { name, input }: StepTask): Promise<void> {
    const abort = new AbortController();
    running = abort;
    let toldAt = Number.NEGATIVE_INFINITY;
    const context: HandlerContext = {
      signal: abort.signal,
      log: (line) => void send({ type: 'log', id, line }),
      progress(done, note) {
        const now = performance.now();
        if (done < 1 && now - toldAt < PROGRESS_MS) return;
        toldAt = now;
        void send({ type: 'progress', id, done, note });
      },
    };
    try {
      const handler = Object.hasOwn(handlers, name) ? handlers[name] : undefined;
      if (handler === undefined) {
        const near = nearestName(name, Object.keys(handlers));
        throw new ApiError(
          'NOT_IMPLEMENTED',
          `No step handler is named '${name}'${near === undefined ? '' : `; did you mean '${near}'?`}`,
        );
      }
      const result = await handler(input, context);
      await send({ type: 'result', id, result, rssBytes: process.memoryUsage.rss() });
    } catch (error) {
      await send({ type: 'error', id, error: toWire(error), rssBytes: process.memoryUsage.rss() });
    } finally {
      running = undefined;
      if (isStopping) process.exit();
    }
  }

  process.on('message', (message: ToChild) => {
    if (message.type === 'run') void run(message.id, message.task);
  });
  void send({ type: 'ready' });
}
