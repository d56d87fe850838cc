import type { CodedBatch, ModelSession } from '../../models/index.ts';
import {
  type LoadReport,
  type LoadRequest,
  loadAndMeasure,
  runTimed,
  StaleCopyError,
  type TimedOutput,
} from './load-model.ts';
import { loadQuietly, type ThreadPriority } from './load-quietly.ts';

export type ToWorker =
  | { type: 'load'; request: LoadRequest; fastCreateMs: number }
  | { type: 'run'; id: number; batch: CodedBatch }
  | { type: 'release' };

export type FromWorker =
  | { type: 'loaded'; report: LoadReport }
  | { type: 'load-failed'; message: string; isStaleCopy: boolean }
  | { type: 'ran'; id: number; result: TimedOutput }
  | { type: 'run-failed'; id: number; message: string }
  | { type: 'released' };

/** No model of this size is created within a few milliseconds. */
const LARGE_BYTES = 2 * 1024 * 1024;

/**
 * The work of a model's worker thread, message by message; `post` sends an answer back, moving the memory in
 * `transfer`. One model for each worker: a session lives and dies in one thread.
 */
export function createWorkerMessageHandler(
  post: (message: FromWorker, transfer: ArrayBuffer[]) => void,
  priority?: ThreadPriority,
) {
  let session: ModelSession | undefined;
  let sizeBytes = 0;

  /** Large models take the time that nobody else wants; a small one's timing has to be exact. */
  function quietly<T>(size: number, work: () => Promise<T>): Promise<T> {
    sizeBytes = size;
    return size > LARGE_BYTES ? loadQuietly(priority, work) : work();
  }

  async function load(request: LoadRequest, fastCreateMs: number): Promise<void> {
    try {
      const loaded = await quietly(request.sizeBytes, () => loadAndMeasure(request, fastCreateMs));
      session = loaded.session;
      post({ type: 'loaded', report: loaded.report }, []);
    } catch (error) {
      const isStaleCopy = error instanceof StaleCopyError;
      post({ type: 'load-failed', message: (error as Error).message, isStaleCopy }, []);
    }
  }

  async function run(id: number, batch: CodedBatch): Promise<void> {
    try {
      if (session === undefined) throw new Error('no model is loaded in this worker');
      const result = await runTimed(session, batch);
      const { probabilities, values } = result.output;
      post({ type: 'ran', id, result }, [...movable(probabilities), ...movable(values)]);
    } catch (error) {
      post({ type: 'run-failed', id, message: (error as Error).message }, []);
    }
  }

  async function release(): Promise<void> {
    const freed = session;
    session = undefined;
    try {
      if (freed !== undefined) await quietly(sizeBytes, () => freed.release());
    } finally {
      post({ type: 'released' }, []);
    }
  }

  return (message: ToWorker): Promise<void> => {
    switch (message.type) {
      case 'load':
        return load(message.request, message.fastCreateMs);
      case 'run':
        return run(message.id, message.batch);
      case 'release':
        return release();
    }
  };
}

/** The memory of an array that nothing else shares, to be moved to another thread instead of copied. */
export function movable(values: unknown): ArrayBuffer[] {
  if (!ArrayBuffer.isView(values) || !(values.buffer instanceof ArrayBuffer)) return [];
  return values.byteLength === values.buffer.byteLength ? [values.buffer] : [];
}
