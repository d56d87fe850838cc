import type { CodedBatch, ModelSession } from '../../models/index.ts';
import { runTimed, type TimedOutput } from './load-model.ts';

/** A warm model that answers batches, wherever it lives. */
export interface ModelRunner {
  readonly place: 'main-thread' | 'worker-thread';
  run(batch: CodedBatch): Promise<TimedOutput>;
  /** Frees the model; what still runs is refused. */
  release(): Promise<void>;
}

/** Runs a model on the thread that serves HTTP: for those so fast that a hop would cost more than the run. */
export function createInlineRunner(session: ModelSession): ModelRunner {
  return {
    place: 'main-thread',
    run: (batch) => runTimed(session, batch),
    release: () => session.release(),
  };
}
