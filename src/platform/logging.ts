import { createRequire } from 'node:module';
import type { DestinationStream, Logger } from 'pino';

export type { Logger } from 'pino';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Values under these keys never reach a log line. Named one by one: a wildcard makes every line three times as dear. */
const SECRET_PATHS = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'token',
  'apiKey',
  'headers.authorization',
  'headers.cookie',
];

/**
 * A logger of JSON lines (`time` is ISO 8601, `level` a word). Lines go to standard error, so that standard output
 * stays free for what a command prints; `destination` replaces it (tests).
 */
export function createLogger(options: {
  level: LogLevel;
  name: string;
  destination?: DestinationStream;
}): Logger {
  // Loaded here and not above: the database's writer thread loads this slice too, and logs nothing.
  const { pino } = createRequire(import.meta.url)('pino') as typeof import('pino');
  return pino(
    {
      level: options.level,
      name: options.name,
      base: { name: options.name, pid: process.pid },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: SECRET_PATHS, censor: '[hidden]' },
    },
    // Asynchronous: a slow terminal or pipe must not stop the event loop; pino flushes at exit.
    options.destination ?? pino.destination({ dest: 2, sync: false }),
  );
}
