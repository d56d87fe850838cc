import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '../../artifacts/index.ts';
import { ApiError, type Clock, createWorkLimit, type Database, type Logger } from '../../platform/index.ts';
import type { SegmentName, Variant } from '../../serving/contract.ts';
import { readDroppedByServer } from '../windows/profile-entry-store.ts';
import { checkColumn, createModelDescriptions } from './describe-models.ts';
import { createSegmentFiling, type FilingStep } from './file-segments.ts';
import { type ForgetRows, type Forgotten, forgetRows } from './forget-rows.ts';
import { createLogCatalog } from './log-catalog.ts';
import { type CallOptions, createLogClient, LogProcessDied } from './log-client.ts';
import type {
  Answer,
  ComparedVariants,
  CountedRows,
  ExportedRows,
  MeasuredWindow,
  RequestName,
  Requests,
  UserQueryResult,
  Window,
} from './log-messages.ts';
import { createLogStore } from './log-store.ts';
import type { ReadSignature } from './read-signatures.ts';
import { createFilingSchedule, FILING_LIMITS, type FilingLimits } from './schedule-filing.ts';
import { createSegmentIntake } from './take-segment.ts';

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

const QUERY_LIMITS = { rows: 10_000, mostRows: 100_000, timeoutMs: 30_000, longestMs: 300_000 };
/** What SQL may be as long as. */
const MAX_SQL_CHARACTERS = 100_000;
/** A query that is not over so long after its limit cannot be interrupted. */
const GRACE_MS = 5000;

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
      guestMemoryLimitMb: Math.max(64, Math.floor((deps.memoryLimitMb ?? 512) / 2)),
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
  const querying = createWorkLimit({ running: 2, waiting: 32, what: 'queries of the prediction log' });
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

    /**
     * Runs one SELECT of a user over the views `predictions`, `labels`, and one for each model.
     *
     * @throws ApiError INVALID_PARAMETER_VALUE with what is wrong with it.
     */
    async query(
      sql: string,
      options: { limitRows?: number; timeoutMs?: number; signal?: AbortSignal } = {},
    ): Promise<UserQueryResult> {
      const { limitRows = QUERY_LIMITS.rows, timeoutMs = QUERY_LIMITS.timeoutMs, signal } = options;
      checkRange('limit_rows', limitRows, QUERY_LIMITS.mostRows);
      checkRange('timeout_ms', timeoutMs, QUERY_LIMITS.longestMs);
      if (sql.trim() === '')
        throw new ApiError('INVALID_PARAMETER_VALUE', 'The query is empty; give a SELECT');
      if (sql.includes('\0')) throw new ApiError('INVALID_PARAMETER_VALUE', 'The query holds U+0000');
      if (sql.length > MAX_SQL_CHARACTERS) {
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `The query has ${sql.length} characters; ${MAX_SQL_CHARACTERS} are allowed`,
        );
      }
      const run = (more: readonly string[]) =>
        ask('query', async () => ({ sql, views: await models.viewsFor(sql, more), limitRows, timeoutMs }), {
          hardLimitMs: timeoutMs + GRACE_MS,
          ...(signal && { signal }),
        });
      return querying(async () => {
        try {
          return await run([]);
        } catch (error) {
          // A registered model without rows has a view too, and none of these are looked up before one is named.
          const missing = /Table with name (.+?) does not exist/.exec((error as Error).message)?.[1];
          if (missing === undefined || !(await models.viewOf(missing)))
            throw withModels(error, catalog.models().keys());
          return run([missing]);
        }
      }, signal);
    },

    /**
     * Writes labelled predictions as a Parquet table: columns, target, `__time`, `__entity`. Of more than `maxRows` those whose
     * prediction ids have the lowest hashes: the same share of every day, and the same rows each time.
     */
    async exportLabelled(request: {
      model: string;
      from?: number;
      to?: number;
      version?: string;
      variants?: Variant[];
      schema: readonly { name: string; type: string }[];
      targetName: string;
      outPath: string;
      maxRows?: number;
      signal?: AbortSignal;
    }): Promise<ExportedRows> {
      const { model, version, schema, targetName, outPath, maxRows, signal, ...filter } = request;
      const columns = schema.map(checkColumn);
      const declared = columns.find(({ name }) => name === targetName)?.type;
      return ask(
        'export',
        {
          filter: rowFilter({ model, version, ...filter }),
          schema: columns,
          targetName,
          targetType: declared ?? (await models.targetTypeOf(model)),
          outPath,
          ...(maxRows !== undefined && { maxRows }),
        },
        signal ? { signal } : {},
      );
    },

    /** Measures windows of event time, oldest labels included; without `variants` the answers, not the shadows. */
    async measureWindows(request: {
      model: string;
      version?: string;
      variants?: Variant[];
      metric: string;
      windows: readonly Window[];
      classes?: Classes;
      mostRows?: number;
      signal?: AbortSignal;
    }): Promise<MeasuredWindow[]> {
      const { model, version, variants, metric, windows, classes, mostRows, signal } = request;
      const answer: Answer | undefined = classes
        ? { task: classes.length === 2 ? 'binary' : 'multiclass', classes }
        : await models.answerOf(model, version);
      return ask(
        'measure',
        {
          filter: rowFilter({ model, version, variants }),
          metric,
          windows: windows.map(({ from, to }) => ({ from, to })),
          ...(answer && { answer }),
          ...(mostRows !== undefined && { mostRows }),
        },
        signal ? { signal } : {},
      );
    },

    /** Two versions side by side, window by window of event time, and as pairs where one was the other's shadow. */
    async compareVariants(request: {
      model: string;
      from: number;
      to: number;
      windowMs: number;
      champion: string;
      candidate: string;
      signal?: AbortSignal;
    }): Promise<ComparedVariants> {
      const { signal, ...input } = request;
      if (!(input.windowMs > 0) || (input.to - input.from) / input.windowMs > 10_000) {
        throw new ApiError(
          'INVALID_PARAMETER_VALUE',
          `Windows of ${input.windowMs} ms from ${input.from} to ${input.to} are no windows, or more than 10000`,
        );
      }
      const answer = await models.answerOf(input.model, input.champion);
      return ask('compare', { ...input, ...(answer && { answer }) }, signal ? { signal } : {});
    },

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

    /** The models that have rows. */
    async models(): Promise<string[]> {
      await catchUp();
      return [...catalog.models().keys()].sort();
    },

    /** The process that holds the log, while it runs; for tests of its death. */
    processId: () => client.pid(),

    /** Ends the process; segments that were not filed yet are kept, and filed after the next start. */
    async close(): Promise<void> {
      const { finished } = schedule.close();
      await started;
      await client.stop({ forGood: true });
      await finished;
      await rm(workFolder, { recursive: true, force: true });
    },
  };
}

type Classes = readonly (string | number | boolean)[];
const ANSWERS: Variant[] = ['champion', 'canary', 'previous'];

function rowFilter(given: {
  model: string;
  from?: number | undefined;
  to?: number | undefined;
  version?: string | undefined;
  variants?: Variant[] | undefined;
}) {
  const { model, from, to, version, variants = ANSWERS } = given;
  return {
    model,
    variants,
    ...(from !== undefined && { from }),
    ...(to !== undefined && { to }),
    ...(version !== undefined && { versions: [version] }),
  };
}

function checkRange(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `${name} must be a whole number from 1 to ${most}, got ${value}`,
  );
}

/** Adds to a table that does not exist which ones do. */
function withModels(error: unknown, models: Iterable<string>): unknown {
  if (!(error instanceof ApiError) || !error.message.includes('does not exist')) return error;
  if (!error.message.includes('Table with name')) return error;
  const names = ['predictions', 'labels', ...[...models].slice(0, 20)].join(', ');
  return new ApiError(error.code, `${error.message.split(' Did you mean')[0]} There are: ${names}`);
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
