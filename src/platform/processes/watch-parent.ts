import { Socket } from 'node:net';
import { isMainThread } from 'node:worker_threads';
import { endGroup } from './end-group.ts';

/**
 * A thread of a child process that waits for the end of its standard input, which is its parent's end: training or a model
 * file may keep the main thread busy for minutes or for ever, and must not outlive the platform that asked for it.
 */
if (!isMainThread) {
  const parent = new Socket({ fd: 0 });
  parent.on('error', () => {});
  parent.once('close', endGroup);
  parent.resume();
}
