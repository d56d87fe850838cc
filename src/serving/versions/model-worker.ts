import { parentPort } from 'node:worker_threads';
import { createWorkerMessageHandler, type ToWorker } from './answer-worker-messages.ts';
import { threadPriority } from './load-quietly.ts';

// The thread's entry: everything it does is in answer-worker-messages.ts, which also runs without a thread.
const handle = createWorkerMessageHandler(
  (message, transfer) => parentPort?.postMessage(message, transfer),
  threadPriority,
);
parentPort?.on('message', (message: ToWorker) => void handle(message));
