import type { ApiError } from '../errors.ts';
import type { Logger } from '../logging.ts';

type LogMethod = (...args: unknown[]) => void;

/** A logger that becomes a child with the request's id at its first line: most requests never write one. */
class RequestLog {
  readonly #logger: Logger;
  readonly #requestId: string;
  #child: Logger | undefined;

  constructor(logger: Logger, requestId: string) {
    this.#logger = logger;
    this.#requestId = requestId;
  }

  get level(): string {
    return this.#logger.level;
  }

  #line(level: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace', args: unknown[]): void {
    if (!this.#logger.isLevelEnabled(level)) return;
    this.#child ??= this.#logger.child({ request_id: this.#requestId });
    (this.#child[level] as LogMethod)(...args);
  }

  fatal(...args: unknown[]): void {
    this.#line('fatal', args);
  }
  error(...args: unknown[]): void {
    this.#line('error', args);
  }
  warn(...args: unknown[]): void {
    this.#line('warn', args);
  }
  info(...args: unknown[]): void {
    this.#line('info', args);
  }
  debug(...args: unknown[]): void {
    this.#line('debug', args);
  }
  trace(...args: unknown[]): void {
    this.#line('trace', args);
  }
  silent(): void {}

  child(bindings: Record<string, unknown>): Logger {
    return this.#logger.child({ request_id: this.#requestId, ...bindings });
  }
}

export function createRequestLog(logger: Logger, requestId: string): RequestLog {
  return new RequestLog(logger, requestId);
}

/** One line for a finished request. Successful ones of quiet routes (predictions, probes) are told at debug only. */
export function logFinishedRequest(
  logger: Logger,
  quiet: boolean,
  request: { id: string; method: string; url: string },
  status: number,
  seconds: number,
): void {
  const level = quiet ? 'debug' : 'info';
  if (!logger.isLevelEnabled(level)) return;
  logger[level](
    {
      request_id: request.id,
      method: request.method,
      path: request.url.split('?', 1)[0],
      status,
      duration_ms: Math.round(seconds * 1e6) / 1e3,
    },
    'request completed',
  );
}

/** Nothing that is served, or a full disk, fails every request: the log of each would fill a disk itself. */
const TELL_503_EVERY_MS = 1000;

export type LogFailure = (
  log: { debug: LogMethod; warn: LogMethod; error: LogMethod },
  url: string,
  error: unknown,
  told: ApiError,
) => void;

/**
 * Tells of failed requests. 503 is a state that passes, and whoever caused it has told why: one line a second, with the
 * number of those before it that had none. Any other 5xx is a defect that someone must see.
 */
export function createFailureLog(now: () => number = () => performance.now()): LogFailure {
  let toldAt = Number.NEGATIVE_INFINITY;
  let untold = 0;
  return (log, url, error, told) => {
    if (told.status !== 503) {
      if (told.status >= 500) log.error({ err: error, url }, told.message);
      return;
    }
    const time = now();
    if (time - toldAt < TELL_503_EVERY_MS) {
      untold += 1;
      log.debug({ url }, told.message);
      return;
    }
    log.warn(untold === 0 ? { url } : { url, untold_503s: untold }, told.message);
    toldAt = time;
    untold = 0;
  };
}

/** Whether a request of a quiet route needs no line of its own: it went well, or is told of with others like it. */
export const isQuietStatus = (status: number): boolean => status < 400 || status === 503;
