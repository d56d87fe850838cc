import type { Database, Logger } from '../../platform/index.ts';
import type { ModelVersion } from '../../registry/index.ts';
import type { Alarm } from '../alarms/alarm.ts';
import type { LoadedReference } from '../drift/read-reference.ts';
import { addEvidence } from '../drift-commands.ts';
import type { QueryLog } from './explain-segments.ts';
import { nameUnseen } from './name-unseen.ts';

/**
 * Adds to alarms of unseen values which ones they are. The prediction log starts a process for each question and may take
 * seconds, and the loop waits for none: questions are asked one by one beside it. What is left at the end stays without names.
 */
export function createAlarmNaming(deps: {
  database: Database;
  logger: Logger;
  referenceOf: (version: ModelVersion) => Promise<LoadedReference | undefined>;
  query?: QueryLog;
}) {
  const { database, logger, query } = deps;
  const stopped = new AbortController();
  const waiting: { version: ModelVersion; alarm: Alarm }[] = [];
  let running: Promise<void> | undefined;

  async function nameOne(asked: QueryLog, version: ModelVersion, alarm: Alarm): Promise<void> {
    const columns = (await deps.referenceOf(version))?.spec.columns ?? [];
    const column = columns.find(({ name }) => name === alarm.column);
    if (column === undefined || stopped.signal.aborted) return;
    const { model, window } = alarm;
    const values = await nameUnseen(
      asked,
      { model, version: alarm.version, window, column },
      logger,
      stopped.signal,
    );
    if (values.length > 0 && !stopped.signal.aborted)
      await database.execute(addEvidence, { id: alarm.id, evidence: { unseen_values: values } });
  }

  async function run(asked: QueryLog): Promise<void> {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
      const { version, alarm } = next;
      if (stopped.signal.aborted) return;
      try {
        await nameOne(asked, version, alarm);
      } catch (error) {
        // The alarm may be gone with its model by now.
        logger.warn({ err: error, model: alarm.model, alarm: alarm.id }, 'an alarm cannot be explained');
      }
    }
  }

  return {
    add(version: ModelVersion, alarms: readonly Alarm[]): void {
      waiting.push(
        ...alarms.filter(({ aspect }) => aspect === 'unseen').map((alarm) => ({ version, alarm })),
      );
    },
    /** Begins with what was added; returns at once. */
    poke(): void {
      if (query === undefined || running !== undefined || waiting.length === 0) return;
      running = run(query).finally(() => {
        running = undefined;
      });
    },
    /** Settles when nothing is asked any more. */
    idle: async (): Promise<void> => running,
    async stop(): Promise<void> {
      stopped.abort(new Error('stopped'));
      await running;
    },
  };
}
