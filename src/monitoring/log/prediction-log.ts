import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '../../artifacts/index.ts';
import { ApiError, type Clock, type Database, type Logger } from '../../platform/index.ts';
import type { SegmentName } from '../../serving/contract.ts';
import { readDroppedByServer } from '../windows/profile-entry-store.ts';
import { createModelDescriptions } from './describe-models.ts';
import { createSegmentFiling, type FilingStep } from './filing/file-segments.ts';
import { type ForgetRows, type Forgotten, forgetRows } from './filing/forget-rows.ts';
import { createFilingSchedule, FILING_LIMITS, type FilingLimits } from './filing/schedule-filing.ts';
import { createSegmentIntake } from './filing/take-segment.ts';
import { createLogCatalog } from './log-catalog.ts';
import { type CallOptions, createLogClient, LogProcessDied } from './log-client.ts';
import type { CountedRows, RequestName, Requests } from './log-messages.ts';
import { createMeasurements } from './measure-log.ts';
import { createUserQueries } from './query/query-log.ts';
import { createQueryProcesses } from './query/query-processes.ts';
import { createSharedRows } from './query/share-rows.ts';
import type { ReadSignature } from './read-signatures.ts';
import { createLogStore } from './store/log-store.ts';

export interface PredictionLogDeps {
  database: Database;
  artifacts: ArtifactStore;
  clock: Clock;
  logger: Logger;
  /** For this server alone; what it holds may be removed while no server runs. */
  workFolder: string;
  modelOf: ReadSignature;
  /** How old rows get, by their event time; 0 keeps them for ever. */
  retentionMs: number;
  memoryLimitMb?: number;
  filing?: Partial<FilingLimits>;
  /** How long artifacts stay that nothing names any more; 15 minutes otherwise. */
  graceMs?: number;
  onStep?: (step: FilingStep) => void | Promise<void>;
}

/** How many predictions of a model the log holds, and what it no longer holds. */
export interface LogCounts extends CountedRows {
  dropped: { retention: number; forgotten: number };
  /** Lines of any model that were no log entries: set aside, not lost. */
  badLines: number;
  /** Model servers that had to drop entries of any model instead of logging them. */
  droppingServers: { replica: string; dropped: number }[];
}

export type PredictionLog = ReturnType<typeof createPredictionLog>;

/**
 * What was predicted and what came true. Segments are taken as they come and answered for at once; a process with DuckDB turns
 * them into Parquet files by and by, and answers questions about both.
 */
export function createPredictionLog(deps: PredictionLogDeps) {
  const { database, artifacts, clock, logger, modelOf, retentionMs } = deps;
  const workFolder = join(deps.workFolder, `${process.pid}-${randomUUID().slice(0, 8)}`);
  const client = createLogClient({
    logger,
    setUp: {
      workFolder,
      memoryLimitMb: deps.memoryLimitMb ?? 512,
      threads: 2,
    },
  });
  const store = createLogStore(database.reader);
  const catalog = createLogCatalog({ database, artifacts, client, logger });
  const intake = createSegmentIntake({ database, artifacts, clock });
  const filing = createSegmentFiling({
    database,
    artifacts,
    clock,
    logger,
    client,
    catalog,
    intake,
    workFolder,
    retentionMs,
    ...(deps.graceMs !== undefined && { graceMs: deps.graceMs }),
    ...(deps.onStep && { onStep: deps.onStep }),
  });
  const started = openFolder().catch((error: unknown) => {
    logger.error({ err: error }, 'the work folder of the prediction log cannot be made');
  });

  const schedule = createFilingSchedule({
    catalog,
    filing,
    logger,
    limits: { ...FILING_LIMITS, ...deps.filing },
    started,
  });
  const models = createModelDescriptions({ catalog, modelOf });
  const hotFolder = join(workFolder, 'hot');
  const queryMemoryMb = Math.max(64, Math.floor((deps.memoryLimitMb ?? 512) / 2));
  const processes = createQueryProcesses({
    setUp: {
      hotFolder,
      memoryLimitMb: queryMemoryMb,
      processLimitMb: 2 * queryMemoryMb + 384,
      threads: 2,
    },
    workFolder,
    logger,
  });
  const rows = createSharedRows({ ask, folder: hotFolder });

  async function openFolder(): Promise<void> {
    const others = await readdir(deps.workFolder).catch(() => []);
    for (const name of others) {
      if (!isAlive(Number(name.split('-', 1)[0]))) await rm(join(deps.workFolder, name), { recursive: true });
    }
    await mkdir(workFolder, { recursive: true });
    await filing.collectGarbage({ isStart: true });
    if ((await store.newSegments()).length > 0) schedule.fileLater();
  }

  /** Tells the process everything that is new; what is more than it can hold goes into files first. */
  async function catchUp(): Promise<number> {
    await started;
    for (;;) {
      const { start, isComplete } = await catalog.sync();
      if (isComplete) return start;
      await schedule.changing(() => filing.fileBatches());
    }
  }

  /** Asks the process, once more when it died or a file was replaced meanwhile. */
  async function ask<N extends RequestName>(
    name: N,
    input: Requests[N][0] | (() => Promise<Requests[N][0]>),
    options: CallOptions = {},
  ): Promise<Requests[N][1]> {
    for (let attempt = 1; ; attempt++) {
      const start = await catchUp();
      try {
        const given = typeof input === 'function' ? await input() : input;
        return await client.call(name, given, { ...options, start });
      } catch (error) {
        const mayHeal =
          error instanceof LogProcessDied || (error instanceof Error && error.message.startsWith('IO Error'));
        if (!mayHeal || attempt === 2 || options.signal?.aborted) {
          throw error instanceof LogProcessDied ? unavailable(error) : error;
        }
      }
    }
  }

  return {
    /** Resolves when the segment is kept for good. Its lines are looked at later. */
    async takeSegment(
      name: SegmentName,
      body: AsyncIterable<Uint8Array>,
      sha256?: string,
    ): Promise<{ isNew: boolean }> {
      const { isNew } = await intake.takeSegment(name, body, sha256);
      if (isNew) schedule.prefetch();
      return { isNew };
    },

    ...createUserQueries({ processes, rows, catalog, models, catchUp }),
    ...createMeasurements({ ask, models }),

    async counts(model: string): Promise<LogCounts> {
      const counted = await ask('count', { model });
      const drops = await store.drops();
      const rowsOf = (name: string, cause: string) =>
        drops.find((drop) => drop.model === name && drop.cause === cause)?.rows ?? 0;
      return {
        ...counted,
        dropped: { retention: rowsOf(model, 'retention'), forgotten: rowsOf(model, 'forgotten') },
        badLines: rowsOf('', 'bad'),
        droppingServers: await readDroppedByServer(database.reader),
      };
    },

    /**
     * Takes the predictions with a value, and their labels, out of all that was taken so far. Rows that arrive later are new
     * data, also those that a model server has logged but not sent yet.
     */
    async forget(request: ForgetRows): Promise<Forgotten> {
      const { column, value, model } = request;
      if ([column, value, model].some((text) => text?.includes('\0')))
        throw new ApiError('INVALID_PARAMETER_VALUE', 'U+0000 cannot be looked for');
      await started;
      return schedule.changing(() => forgetRows({ client, catalog, filing, clock }, request));
    },

    /** Files what is new, merges small files, drops old ones; it happens by itself, and this awaits it. */
    compact: schedule.compact,

    /** @throws ApiError RESOURCE_DOES_NOT_EXIST when there are neither rows nor a version of a model. */
    async checkModel(model: string): Promise<void> {
      await catchUp();
      if (await models.viewOf(model)) return;
      const logged = [...catalog.models().keys()].sort().slice(0, 20).join(', ');
      throw new ApiError(
        'RESOURCE_DOES_NOT_EXIST',
        `The log holds no predictions of a model ${JSON.stringify(model)}, ${logged === '' ? 'nor of any other' : `but of ${logged}`}`,
      );
    },

    /** The models that have rows. */
    async models(): Promise<string[]> {
      await catchUp();
      return [...catalog.models().keys()].sort();
    },

    /** The process that holds the log, while it runs; for tests of its death. */
    processId: () => client.pid(),

    /** The processes that run users' queries; for tests of their death. */
    queryProcessIds: () => processes.pids(),

    /** Ends the process; segments that were not filed yet are kept, and filed after the next start. */
    async close(): Promise<void> {
      const { finished } = schedule.close();
      await started;
      await Promise.all([client.stop({ forGood: true }), processes.close()]);
      await finished;
      await rm(workFolder, { recursive: true, force: true });
    },
  };
}

const unavailable = (cause: Error): ApiError =>
  new ApiError(
    'TEMPORARILY_UNAVAILABLE',
    'The process of the prediction log ended twice while it worked on this; is the machine out of memory?',
    undefined,
    { cause },
  );

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
