import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { lookForEdited } from './applied-migrations.ts';
import type { CommandRequest } from './group-commit.ts';
import { openSqliteWriter, type WriterOptions } from './sqlite-writer.ts';
import { post, type ToThread } from './thread-messages.ts';
import { encodeError } from './wire-error.ts';

/** Bounds how long the first command of a group waits for the last. */
const GROUP_LIMIT = 1000;

/** Opens the database and serves commands from a port until it is told to close. Runs in the writer thread, or in a test. */
export async function serveWriter(port: MessagePort, options: WriterOptions): Promise<void> {
  const queue: CommandRequest[] = [];
  let writer: Awaited<ReturnType<typeof openSqliteWriter>> | undefined;
  let closing = false;
  let running = false;
  let stopLooking = (): void => {};

  function take(message: ToThread): void {
    if (message === 'close') closing = true;
    else queue.push(...(message as CommandRequest[]));
  }

  async function work(): Promise<void> {
    if (running || writer === undefined) return;
    running = true;
    for (;;) {
      // Whatever came while the last commit waited for the disk forms the next group.
      for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port))
        take(next.message as ToThread);
      if (queue.length === 0) break;
      const group = queue.splice(0, options.groupCommit ? GROUP_LIMIT : 1);
      post(port, await writer.runGroup(group));
    }
    running = false;
    if (closing) {
      stopLooking();
      writer.close();
      writer = undefined;
      port.postMessage('closed');
      port.close();
    }
  }

  port.on('message', (message: ToThread) => {
    take(message);
    void work();
  });
  try {
    writer = await openSqliteWriter(options);
  } catch (error) {
    port.postMessage({ failed: encodeError(error) });
    port.close();
    return;
  }
  const { applied, findEdited } = writer.migrations;
  port.postMessage({ opened: applied });
  stopLooking = lookForEdited(findEdited, (looked) => port.postMessage({ looked }));
  await work();
}
