import { DatabaseSync } from 'node:sqlite';
import type { MessagePort } from 'node:worker_threads';
import type { Answer } from './group-commit.ts';
import { createSqliteConnection } from './sqlite-connection.ts';
import { post, type ReadRequest, type ToThread } from './thread-messages.ts';
import { encodeError } from './wire-error.ts';

/** Serves queries from a port until it is told to close. The connection is read-only: a write is refused by SQLite. */
export function serveReader(port: MessagePort, options: { path: string }): void {
  const db = new DatabaseSync(options.path, { readOnly: true, timeout: 5000 });
  db.exec('pragma cache_size = -4096; pragma temp_store = memory');
  const connection = createSqliteConnection(db);

  port.on('message', (message: ToThread) => {
    if (message === 'close') {
      connection.clear();
      db.close();
      port.postMessage('closed');
      port.close();
      return;
    }
    post(port, (message as ReadRequest[]).map(answer));
  });

  function answer({ id, sql, parameters }: ReadRequest): Answer {
    try {
      return { id, output: connection.run(sql, parameters) };
    } catch (error) {
      return { id, error: encodeError(error) };
    }
  }
}
