import { randomUUID } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { ArtifactStore } from '../../artifacts/index.ts';
import type { ColumnType, Signature } from '../../models/index.ts';
import { ApiError, type Clock, createWorkLimit, type Database, type Logger } from '../../platform/index.ts';
import type { SegmentName, Variant } from '../../serving/contract.ts';
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
  ModelView,
  RequestName,
  Requests,
  UserQueryResult,
  Window,
} from './log-messages.ts';
import { createLogStore } from './log-store.ts';
import type { ReadSignature } from './read-signatures.ts';
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
  /** Segments are filed when there are so many of them, or so many bytes, or when the first has waited so long. */
  filing?: { segments?: number; sizeBytes?: number; waitMs?: number };
  onStep?: (step: FilingStep) => void | Promise<void>;
}

const FILING = { segments: 250, sizeBytes: 32 * 2 ** 20, waitMs: 60_000 };
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
}

export type PredictionLog = ReturnType<typeof createPredictionLog>;

/**
 * What was predicted and what came true. Segments are taken as they come and answered for at once; a process with DuckDB turns
 * them into Parquet files by and by, and answers questions about both.
 */
export function createPredictionLog(deps: PredictionLogDeps) {
  const { database, artifacts, clock, logger, modelOf, retentionMs } = deps;
  const limits = { ...FILING, ...deps.filing };
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
    ...{ database, artifacts, clock, logger, client, catalog, intake, workFolder, retentionMs },
    ...(deps.onStep && { onStep: deps.onStep }),
  });
  /** Changes of the files, one after the other. */
  const changing = createWorkLimit({ running: 1, waiting: 100, what: 'changes of the prediction log' });
  const querying = createWorkLimit({ running: 2, waiting: 32, what: 'queries of the prediction log' });
  let timer: NodeJS.Timeout | undefined;
  let background: Promise<unknown> = Promise.resolve();
  let isPrefetching = false;
  let isClosed = false;
  const started = openFolder().catch((error: unknown) => {
    logger.error({ err: error }, 'the work folder of the prediction log cannot be made');
  });

  async function openFolder(): Promise<void> {
    const others = await readdir(deps.workFolder).catch(() => []);
    for (const name of others) {
      if (!isAlive(Number(name.split('-', 1)[0]))) await rm(join(deps.workFolder, name), { recursive: true });
    }
    await mkdir(workFolder, { recursive: true });
    await filing.collectGarbage({ isStart: true });
    if ((await store.newSegments()).length > 0) fileLater();
  }

  /** Tells the process everything that is new; what is more than it can hold goes into files first. */
  async function catchUp(): Promise<number> {
    await started;
    for (;;) {
      const { start, isComplete } = await catalog.sync();
      if (isComplete) return start;
      await changing(() => filing.fileBatches());
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
          error instanceof LogProcessDied || (error instanceof Error && /^IO Error/.test(error.message));
        if (!mayHeal || attempt === 2 || options.signal?.aborted) {
          throw error instanceof LogProcessDied ? unavailable(error) : error;
        }
      }
    }
  }

  /** Files what is new, merges small files, drops old ones, removes what nothing names. */
  async function compact(): Promise<{ filed: number; merged: number }> {
    await started;
    clearTimeout(timer);
    timer = undefined;
    return changing(async () => {
      let filed = 0;
      for (;;) {
        filed += await filing.fileBatches();
        if (catalog.backlog().segments === 0) break;
        await catalog.sync();
        if (catalog.backlog().segments < limits.segments) break;
      }
      const merged = await filing.mergeFiles();
      await filing.applyRetention();
      await filing.collectGarbage();
      await filing.dropOldNames();
      return { filed, merged };
    });
  }

  function inBackground(work: () => Promise<unknown>, what: string): void {
    background = Promise.allSettled([
      background,
      work().catch((error: unknown) => {
        if (!isClosed) logger.error({ err: error }, what);
      }),
    ]);
  }

  function fileLater(waitMs = limits.waitMs): void {
    if (timer !== undefined || isClosed) return;
    timer = setTimeout(() => {
      timer = undefined;
      inBackground(async () => {
        try {
          await compact();
        } catch (error) {
          fileLater();
          throw error;
        }
      }, 'segments could not be filed; they are kept, and filing is tried again');
    }, waitMs);
    timer.unref();
  }

  /** Lets the process load a segment before somebody asks. */
  function prefetch(): void {
    if (isPrefetching || isClosed) return;
    isPrefetching = true;
    inBackground(async () => {
      await started;
      isPrefetching = false;
      const { isComplete } = await catalog.sync();
      const { segments, sizeBytes } = catalog.backlog();
      const isMuch = !isComplete || segments >= limits.segments || sizeBytes >= limits.sizeBytes;
      if (isMuch) {
        clearTimeout(timer);
        timer = undefined;
      }
      fileLater(isMuch ? 0 : limits.waitMs);
    }, 'new segments could not be loaded');
  }

  async function answerOf(
    model: string,
    version: string | undefined,
    classes?: Classes,
  ): Promise<Answer | undefined> {
    if (classes) return { task: classes.length === 2 ? 'binary' : 'multiclass', classes };
    return toAnswer((await modelOf(model, version)) ?? ((version && (await modelOf(model))) || undefined));
  }

  async function viewOf(model: string): Promise<ModelView | undefined> {
    const logged = catalog.models().get(model);
    const signature = await modelOf(model);
    if (!logged && !signature) return undefined;
    const known = signature?.columns.map(({ name, type }) => ({ name, type })) ?? [];
    const names = new Set(known.map(({ name }) => name));
    const others = (logged ?? []).filter((name) => !names.has(name)).sort();
    const answer = toAnswer(signature);
    return {
      model,
      columns: [...known, ...others.map((name) => ({ name, type: 'string' as ColumnType }))],
      ...(answer && { answer }),
    };
  }

  /** Views cost time: only of the models whose names the SQL holds. */
  async function viewsFor(sql: string, more: readonly string[]): Promise<ModelView[]> {
    const text = sql.toLowerCase();
    const named = [...catalog.models().keys()].filter((model) => text.includes(model.toLowerCase()));
    const views = await Promise.all([...new Set([...named, ...more])].map(viewOf));
    return views.filter((view) => view !== undefined);
  }

  return {
    /** Resolves when the segment is kept for good. Its lines are looked at later. */
    async takeSegment(
      name: SegmentName,
      body: AsyncIterable<Uint8Array>,
      sha256?: string,
    ): Promise<{ isNew: boolean }> {
      const { isNew } = await intake.takeSegment(name, body, sha256);
      if (isNew) prefetch();
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
        ask('query', async () => ({ sql, views: await viewsFor(sql, more), limitRows, timeoutMs }), {
          hardLimitMs: timeoutMs + GRACE_MS,
          ...(signal && { signal }),
        });
      return querying(async () => {
        try {
          return await run([]);
        } catch (error) {
          // A registered model without rows has a view too, and none of these are looked up before one is named.
          const missing = /Table with name (.+?) does not exist/.exec((error as Error).message)?.[1];
          if (missing === undefined || !(await viewOf(missing)))
            throw withModels(error, catalog.models().keys());
          return run([missing]);
        }
      }, signal);
    },

    /** Writes labelled predictions as a Parquet table: columns, target, `__time`, `__entity`. */
    async exportLabelled(request: {
      model: string;
      from?: number;
      to?: number;
      version?: string;
      variants?: Variant[];
      schema: readonly { name: string; type: string }[];
      targetName: string;
      outPath: string;
      signal?: AbortSignal;
    }): Promise<ExportedRows> {
      const { model, version, schema, targetName, outPath, signal, ...filter } = request;
      const columns = schema.map(checkColumn);
      const declared = columns.find(({ name }) => name === targetName)?.type;
      return ask(
        'export',
        {
          filter: rowFilter({ model, version, ...filter }),
          schema: columns,
          targetName,
          targetType: declared ?? targetTypeOf(await modelOf(model)),
          outPath,
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
      signal?: AbortSignal;
    }): Promise<MeasuredWindow[]> {
      const { model, version, variants, metric, windows, classes, signal } = request;
      const answer = await answerOf(model, version, classes);
      return ask(
        'measure',
        {
          filter: rowFilter({ model, version, variants }),
          metric,
          windows: windows.map(({ from, to }) => ({ from, to })),
          ...(answer && { answer }),
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
      const answer = await answerOf(input.model, input.champion);
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
      return changing(() => forgetRows({ client, catalog, filing, clock }, request));
    },

    compact,

    /** The models that have rows. */
    async models(): Promise<string[]> {
      await catchUp();
      return [...catalog.models().keys()].sort();
    },

    /** The process that holds the log, while it runs; for tests of its death. */
    processId: () => client.pid(),

    /** Ends the process; segments that were not filed yet are kept, and filed after the next start. */
    async close(): Promise<void> {
      isClosed = true;
      clearTimeout(timer);
      await started;
      await client.stop({ forGood: true });
      await background;
      await rm(workFolder, { recursive: true, force: true });
    },
  };
}

type Classes = readonly (string | number | boolean)[];
const COLUMN_TYPES: readonly ColumnType[] = ['double', 'long', 'boolean', 'string', 'datetime'];
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

function toAnswer(signature: Signature | undefined): Answer | undefined {
  if (!signature) return undefined;
  const { output } = signature;
  return output.task === 'regression'
    ? { task: 'regression' }
    : { task: output.task, classes: output.classes };
}

function targetTypeOf(signature: Signature | undefined): ColumnType {
  const answer = toAnswer(signature);
  if (answer === undefined) return 'string';
  if (answer.task === 'regression') return 'double';
  if (answer.classes.every((value) => typeof value === 'boolean')) return 'boolean';
  if (answer.classes.every((value) => Number.isInteger(value))) return 'long';
  return answer.classes.every((value) => typeof value === 'number') ? 'double' : 'string';
}

function checkColumn({ name, type }: { name: string; type: string }): { name: string; type: ColumnType } {
  const known = COLUMN_TYPES.find((each) => each === type);
  if (known) return { name, type: known };
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Column ${JSON.stringify(name)} has type ${JSON.stringify(type)}; types are ${COLUMN_TYPES.join(', ')}`,
  );
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
