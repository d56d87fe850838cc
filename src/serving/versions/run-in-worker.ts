import { Worker } from 'node:worker_threads';
import type { CodedBatch } from '../../models/index.ts';
import { ApiError } from '../../platform/index.ts';
import type { FromWorker, ToWorker } from './answer-worker-messages.ts';
import type { LoadReport } from './load-model.ts';
import { type LoadRequest, StaleCopyError, type TimedOutput } from './load-model.ts';
import type { ModelRunner } from './run-model.ts';

/** What the runner needs of a worker thread. */
export interface WorkerThread {
  postMessage(message: ToWorker, transfer: ArrayBuffer[]): void;
  on(event: 'message', listener: (message: FromWorker) => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'exit', listener: (code: number) => void): unknown;
  terminate(): Promise<unknown>;
}

export function spawnModelWorker(name: string): WorkerThread {
  // The file ends on .ts here and on .js in the release build.
  const worker = new Worker(new URL(`./model-worker${import.meta.url.slice(-3)}`, import.meta.url), { name });
  worker.unref();
  return worker as unknown as WorkerThread;
}

/** Each try of such a load may leave a thread behind that computes for ever. */
export class LoadHangsError extends Error {
  override name = 'LoadHangsError';
}

export interface WorkerOptions {
  request: LoadRequest;
  fastCreateMs: number;
  /** A run that takes longer means that the worker hangs: it is ended. */
  runLimitMs: number;
  /** A load that takes longer fails. */
  loadLimitMs: number;
  /** Ends a load that nobody wants any more. */
  signal: AbortSignal;
  spawn: () => WorkerThread;
  /** Called once when a worker that had loaded its model ends by itself or is ended because it hangs. */
  onLost: (reason: string) => void;
}

const RELEASE_LIMIT_MS = 10_000;

interface PendingRun {
  resolve: (result: TimedOutput) => void;
  reject: (error: Error) => void;
  limit: NodeJS.Timeout;
}

/**
 * Loads a model in a thread of its own, checked, warmed and timed there, and runs its batches there.
 *
 * @throws StaleCopyError when the cached copy is missing or corrupt; Error when the model cannot be served.
 */
export async function loadInWorker(
  options: WorkerOptions,
): Promise<{ runner: ModelRunner; report: LoadReport }> {
  const { request, fastCreateMs, runLimitMs, loadLimitMs, signal, onLost } = options;
  signal.throwIfAborted();
  const worker = options.spawn();
  const pending = new Map<number, PendingRun>();
  const released = Promise.withResolvers<void>();
  let lastId = 0;
  let state: 'loading' | 'warm' | 'ended' = 'loading';

  return new Promise((resolveLoad, rejectLoad) => {
    const loadLimit = setTimeout(
      () => end(`its load took longer than ${loadLimitMs} ms`, LoadHangsError),
      loadLimitMs,
    );
    loadLimit.unref();
    const onAbort = () =>
      end(String((signal.reason as Error | undefined)?.message ?? 'the load was stopped'));
    signal.addEventListener('abort', onAbort, { once: true });

    function isLoaded(): void {
      clearTimeout(loadLimit);
      signal.removeEventListener('abort', onAbort);
    }

    function end(reason: string, LoadError: new (message: string) => Error = Error): void {
      if (state === 'ended') return;
      isLoaded();
      const wasWarm = state === 'warm';
      state = 'ended';
      for (const { reject, limit } of pending.values()) {
        clearTimeout(limit);
        reject(unavailable(reason));
      }
      pending.clear();
      // A native run cannot be stopped: its thread ends when the run does, or with the process (ADR 6).
      void worker.terminate();
      if (wasWarm) onLost(reason);
      else rejectLoad(new LoadError(reason));
    }

    function run(batch: CodedBatch): Promise<TimedOutput> {
      if (state === 'ended') return Promise.reject(unavailable('its worker has ended'));
      return new Promise((resolve, reject) => {
        lastId += 1;
        const limit = setTimeout(() => end(`a run took longer than ${runLimitMs} ms`), runLimitMs);
        limit.unref();
        pending.set(lastId, { resolve, reject, limit });
        // Copied and not moved: the profile counts the batch once it is answered.
        worker.postMessage({ type: 'run', id: lastId, batch }, []);
      });
    }

    function takeRun(id: number): PendingRun | undefined {
      const found = pending.get(id);
      pending.delete(id);
      clearTimeout(found?.limit);
      return found;
    }

    async function release(): Promise<void> {
      if (state !== 'warm') return;
      state = 'ended';
      for (const id of pending.keys()) takeRun(id)?.reject(unavailable('it is being released'));
      // Freed by the thread itself, which does it at a low priority; ending the thread would free it in a rush.
      const limit = setTimeout(released.resolve, RELEASE_LIMIT_MS);
      worker.postMessage({ type: 'release' }, []);
      await released.promise;
      clearTimeout(limit);
      await worker.terminate();
    }

    worker.on('message', (message) => {
      switch (message.type) {
        case 'loaded':
          if (state !== 'loading') break;
          state = 'warm';
          isLoaded();
          resolveLoad({ runner: { place: 'worker-thread', run, release }, report: message.report });
          break;
        case 'load-failed':
          state = 'ended';
          isLoaded();
          rejectLoad(message.isStaleCopy ? new StaleCopyError(message.message) : new Error(message.message));
          void worker.terminate();
          break;
        case 'ran':
          takeRun(message.id)?.resolve(message.result);
          break;
        case 'released':
          released.resolve();
          break;
        case 'run-failed':
          takeRun(message.id)?.reject(new Error(message.message));
          break;
      }
    });
    worker.on('error', (error) => end(`its worker failed: ${error.message}`));
    worker.on('exit', (code) => {
      released.resolve();
      end(`its worker ended with code ${code}`);
    });

    worker.postMessage({ type: 'load', request, fastCreateMs }, []);
  });
}

function unavailable(reason: string): ApiError {
  return new ApiError('TEMPORARILY_UNAVAILABLE', `The model does not answer now: ${reason}`);
}
