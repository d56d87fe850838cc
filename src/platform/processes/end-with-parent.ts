import { Worker } from 'node:worker_threads';
import { endGroup } from './end-group.ts';

/**
 * What a child process calls that is nobody's without its parent: it ends with it, also in the midst of work that never gives
 * its main thread back. Its standard input must be a pipe from the parent, on which nothing comes.
 */
export function endWithParent(): void {
  new Worker(new URL(`./watch-parent${import.meta.url.slice(-3)}`, import.meta.url), {
    execArgv: [],
  }).unref();
  process.once('disconnect', endGroup);
}
