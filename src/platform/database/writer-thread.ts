import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { serveWriter } from './serve-writer.ts';
import type { WriterOptions } from './sqlite-writer.ts';

await serveWriter(parentPort as MessagePort, workerData as WriterOptions);
