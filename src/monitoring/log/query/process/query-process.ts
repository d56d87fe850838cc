import { writeFileSync } from 'node:fs';
import type { DuckDBInstance } from '@duckdb/node-api';
import { endWithParent, sendToParent } from '../../../../platform/index.ts';
import { labelsOf, predictionsOf } from '../../process/log-relations.ts';
import { toSentError } from '../../sent-error.ts';
import type { FromQueryProcess, QueryOrder, QuerySetUp } from '../query-messages.ts';
import { openGuest } from './open-guest.ts';
import { answerSelect } from './run-query.ts';
import { viewStatements } from './view-sql.ts';

/** How often it looks at what it holds: at 2 GB/s that is 50 MB. */
const LOOK_EVERY_MS = 25;
/** A process that has become larger does not stay for the next query. */
const WARM_MB = 256;

endWithParent();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
process.once('message', (setUp) => serve(setUp as QuerySetUp));

const rssMb = (): number => process.memoryUsage.rss() / 2 ** 20;
const send = (message: FromQueryProcess): void => void sendToParent(message);

/** Runs the SQL of users, one query at a time, where it can harm nobody else. */
function serve(setUp: QuerySetUp): void {
  offerToKernel();
  let guest: { revision: string; instance: DuckDBInstance } | undefined;

  async function answer({ log, query }: QueryOrder): Promise<string> {
    if (guest?.revision !== log.filesRevision) {
      guest?.instance.closeSync();
      guest = undefined;
      guest = { revision: log.filesRevision, instance: await openGuest(setUp, log) };
    }
    const connection = await guest.instance.connect();
    try {
      const view = { files: [...log.files, ...log.hot], batches: [] };
      for (const statement of viewStatements(predictionsOf(view), labelsOf(view), query.views))
        await connection.run(statement);
      return JSON.stringify(await answerSelect(connection, query, setUp.memoryLimitMb));
    } finally {
      connection.closeSync();
    }
  }

  process.on('message', (order: QueryOrder) => {
    const watch = setInterval(() => {
      if (rssMb() > setUp.processLimitMb) send({ isTooLarge: true });
    }, LOOK_EVERY_MS);
    const isSpent = () => rssMb() > WARM_MB;
    answer(order)
      .then(
        (text) => send({ answer: text, isSpent: isSpent() }),
        (error: unknown) => send({ error: toSentError(error), isSpent: isSpent() }),
      )
      .finally(() => clearInterval(watch));
  });
  send({ ready: true });
}

/** Where memory of the whole machine runs out, Linux ends this process before any other. */
function offerToKernel(): void {
  try {
    writeFileSync('/proc/self/oom_score_adj', '1000');
  } catch {
    // Not Linux, or not allowed: the process's own limits have to do.
  }
}
