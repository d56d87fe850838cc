export {
  type AuditEntry,
  type AuditStore,
  appendAudit,
  createAuditStore,
  type RecordedAuditEntry,
} from './audit.ts';
export { canonicalJson } from './canonical-json.ts';
export type { Clock, ClockKind, EventClock } from './clock.ts';
export { CLOCK_KINDS, createEventClock, MOST_AHEAD_MS, systemClock } from './clock.ts';
export type { Environment } from './config.ts';
export { ConfigError, findUnknownVariables, loadConfig } from './config.ts';
export type {
  Command,
  CommandsModule,
  Database,
  DatabaseOptions,
  DialectName,
  Migration,
  Tx,
} from './database/index.ts';
export { command, openDatabase, sortedText } from './database/index.ts';
export { DURATION_RIGHT, parseDuration, writeDuration } from './durations.ts';
export type { ErrorCode } from './errors.ts';
export { ApiError, ERROR_STATUS } from './errors.ts';
export { addHotRoute } from './http/add-hot-route.ts';
export type { App } from './http/app-type.ts';
export { type AppOptions, createApp } from './http/create-app.ts';
export { type ErrorBody, errorBody, toApiError } from './http/error-response.ts';
export type { HotRequest, HotRoute } from './http/hot-route.ts';
export { ListenError, type ListenOptions, listen } from './http/listen.ts';
export { isLoopback } from './http/request-origin.ts';
export { requestSignal } from './http/request-signal.ts';
export { type StopOptions, stopGracefully } from './http/stop-gracefully.ts';
export { acceptStreams, type StreamLimits, streamOf } from './http/stream-body.ts';
export { createWorkLimit } from './limit-work.ts';
export { createLogger, LOG_LEVELS, type Logger, type LogLevel } from './logging.ts';
export {
  type Counter,
  createMetrics,
  DURATION_BUCKETS,
  type Gauge,
  type Histogram,
  type Labels,
  type Metrics,
} from './metrics.ts';
export { nearestName } from './nearest-name.ts';
export { endWithParent } from './processes/end-with-parent.ts';
export { sendToParent } from './processes/send-to-parent.ts';
export { createKeyedQueue } from './queue-by-key.ts';
export { type RunOptions, runUntilSignal, type StopSource } from './run-until-signal.ts';
export { createRandom } from './seeded-random.ts';
