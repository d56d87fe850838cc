import type { CodedBatch, ModelSession } from '../models/index.ts';
import {
  type LoadReport,
  type LoadRequest,
  loadAndMeasure,
  runTimed,
  StaleCopyError,
  type TimedOutput,
} from './load-model.ts';

export type ToWorker =
  | { type: 'load'; request: LoadRequest; fastCreateMs: number }
  | { type: 'run'; id: number; batch: CodedBatch };

export type FromWorker =
  | { type: 'loaded'; report: LoadReport }
  | { type: 'load-failed'; message: string; isStaleCopy: boolean }
  | { type: 'ran'; id: number; result: TimedOutput }
  | { type: 'run-failed'; id: number; message: string };

/**
 * The work of a model's worker thread, message by message; `post` sends an answer back, moving the memory in
 * `transfer`. One model for each worker: a session lives and dies in one thread.
 */
export function createWorkerMessageHandler(post: (message: FromWorker, transfer: ArrayBuffer[]) => void) {
  let session: ModelSession | undefined;

  async function load(request: LoadRequest, fastCreateMs: number): Promise<void> {
    try {
      const loaded = await loadAndMeasure(request, fastCreateMs);
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

  return (message: ToWorker): Promise<void> =>
    message.type === 'load' ? load(message.request, message.fastCreateMs) : run(message.id, message.batch);
}

/** The memory of an array that nothing else shares, to be moved to another thread instead of copied. */
export function movable(values: unknown): ArrayBuffer[] {
  if (!ArrayBuffer.isView(values) || !(values.buffer instanceof ArrayBuffer)) return [];
  return values.byteLength === values.buffer.byteLength ? [values.buffer] : [];
}
