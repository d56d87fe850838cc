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

/** 503 is a state that passes, and whoever caused it has told why; any other 5xx is a defect that someone must see. */
export function logFailure(
  log: { warn: LogMethod; error: LogMethod },
  url: string,
  error: unknown,
  told: ApiError,
): void {
  if (told.status === 503) log.warn({ url }, told.message);
  else if (told.status >= 500) log.error({ err: error, url }, told.message);
}
