import { endWithParent, sendToParent } from '../../../platform/index.ts';
import type { FromProcess, ProcessSetUp, RequestName, Requests, ToProcess } from '../log-messages.ts';
import { toSentError } from '../sent-error.ts';
import { countRows } from './count-rows.ts';
import { openMain, withConnection } from './duckdb-instances.ts';
import { createLogState, type Snapshot } from './log-state.ts';
import { compareVariants } from './measure/compare-variants.ts';
import { exportLabelled } from './measure/export-labelled.ts';
import { measureWindows } from './measure/measure-windows.ts';
import { createLogSharing } from './share-log.ts';
import { flushBatch, forgetRows, mergeFiles } from './write-files.ts';

type Handler<N extends RequestName> = (input: Requests[N][0], signal: AbortSignal) => Promise<Requests[N][1]>;

// The work of a server that has gone is nobody's.
endWithParent();
// Ctrl-C reaches every process of a terminal; the server decides when this one is no longer needed.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
process.once('message', (setUp) => void serve(setUp as ProcessSetUp));

const send = (message: FromProcess): void => void sendToParent(message);

/** The process that holds the log in DuckDB: loads segments, writes files, answers questions. */
async function serve(setUp: ProcessSetUp): Promise<void> {
  const main = await openMain(setUp);
  const state = createLogState(main);
  const running = new Map<number, AbortController>();
  let synced: Promise<unknown> = Promise.resolve();

  const read =
    <I, O>(
      work: (connection: Parameters<typeof measureWindows>[0], snapshot: Snapshot, input: I) => Promise<O>,
    ) =>
    async (input: I, signal: AbortSignal): Promise<O> => {
      const snapshot = state.snapshot();
      try {
        return await withConnection(main, signal, (connection) => work(connection, snapshot, input));
      } finally {
        await snapshot.release();
      }
    };

  const handlers: { [N in RequestName]: Handler<N> } = {
    sync: (input) => state.sync(input),
    flush: (input, signal) => flushBatch(main, state, input, signal),
    merge: (input, signal) => mergeFiles(main, input, signal),
    forget: (input, signal) => forgetRows(main, state, input, signal),
    measure: read(measureWindows),
    compare: read(compareVariants),
    export: read(exportLabelled),
    count: read(countRows),
    share: createLogSharing(main, state),
  };

  async function answer({ id, name, input }: Exclude<ToProcess, { cancel: number }>): Promise<void> {
    const controller = new AbortController();
    running.set(id, controller);
    const before = synced;
    const work = before.then(() => (handlers[name] as Handler<RequestName>)(input, controller.signal));
    // What is asked after a change of the state sees it.
    if (name === 'sync') synced = work.catch(() => {});
    try {
      send({ id, result: await work });
    } catch (error) {
      send({ id, error: toSentError(error) });
    } finally {
      running.delete(id);
    }
  }

  process.on('message', (message: ToProcess) => {
    if ('cancel' in message) running.get(message.cancel)?.abort(new Error('Cancelled'));
    else void answer(message);
  });
  send({ ready: true });
}
