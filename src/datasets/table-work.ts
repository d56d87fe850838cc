import { fork } from 'node:child_process';
import { ApiError, type ErrorCode } from '../platform/index.ts';
import { type AppendRequest, appendRows } from './append-rows.ts';
import { type IngestedTable, type IngestRequest, ingestFile } from './ingest/ingest-file.ts';

/** A piece of work on a table: plain data, so that it can be sent to another process. */
export type TableWork =
  | { kind: 'ingest'; request: Omit<IngestRequest, 'signal' | 'onProgress'> }
  | { kind: 'append'; request: Omit<AppendRequest, 'signal'> };

export type TableResult = Pick<IngestedTable, 'rows' | 'schema' | 'statistics' | 'digest' | 'notes'> & {
  /** Of ingested files. */
  source?: IngestedTable['source'];
};

export type RunTableWork = (work: TableWork, signal?: AbortSignal) => Promise<TableResult>;

export type TableAnswer =
  | { result: TableResult }
  | {
      error: {
        code: ErrorCode;
        message: string;
        details: Record<string, unknown> | undefined;
        stack: string | undefined;
      };
    };

/** Does the work in this process. */
export function runHere(work: TableWork, signal?: AbortSignal): Promise<TableResult> {
  return work.kind === 'ingest'
    ? ingestFile({ ...work.request, signal })
    : appendRows({ ...work.request, signal });
}

/**
 * Does the work in a process of its own: the memory that DuckDB took goes when it ends, and a table that brings it down takes
 * nothing else with it.
 */
export function runInChild(work: TableWork, signal?: AbortSignal): Promise<TableResult> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason as Error);
    const child = fork(new URL(`./table-process${import.meta.url.slice(-3)}`, import.meta.url), {
      serialization: 'advanced',
      execArgv: [],
      // The standard input carries nothing: its end is how the child learns of its parent's.
      stdio: ['pipe', 'ignore', 'inherit', 'ipc'],
    });
    const stop = () => child.kill('SIGKILL');
    signal?.addEventListener('abort', stop, { once: true });
    child.once('message', (answer: TableAnswer) => {
      if ('result' in answer) resolve(answer.result);
      else {
        const { code, message, details, stack } = answer.error;
        const error = new ApiError(code, message, details);
        reject(Object.assign(error, { stack: stack ?? error.stack }));
      }
    });
    // A process that cannot be started fails twice: to start, and to be written to.
    child.on('error', reject);
    child.once('exit', (code, killedBy) => {
      signal?.removeEventListener('abort', stop);
      // After a message this changes nothing: the promise is settled.
      if (signal?.aborted) reject(signal.reason as Error);
      else {
        reject(
          new ApiError(
            'TEMPORARILY_UNAVAILABLE',
            `The process that read the table died (${killedBy ?? `exit code ${code}`}); is the machine out of memory?`,
          ),
        );
      }
    });
    child.send(work);
  });
}

/** What the child process does with its one message. */
export async function answerTableWork(work: unknown, send: (answer: TableAnswer) => void): Promise<void> {
  try {
    send({ result: await runHere(work as TableWork) });
  } catch (error) {
    const { message, stack } = error as Error;
    const known = error instanceof ApiError ? error : undefined;
    send({ error: { code: known?.code ?? 'INTERNAL_ERROR', message, details: known?.details, stack } });
  }
}
