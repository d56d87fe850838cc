import { z } from 'zod';
import {
  CLOCK_KINDS,
  DURATION_RIGHT,
  type Environment,
  findUnknownVariables,
  LOG_LEVELS,
  type LogLevel,
  loadConfig,
  parseDuration,
} from './platform/index.ts';
import { DEFAULTS } from './setting-defaults.ts';

/**
 * `right` completes "it must be …"; the rest is the row in docs/reference/settings.md, with `fallback` where the default is no
 * plain value.
 */
function setting<S extends z.ZodType>(schema: S, right: string, meaning: string, fallback?: string): S {
  return schema.meta({ description: right, meaning, ...(fallback !== undefined && { fallback }) });
}

const wholeNumber = (least: number, most: number) =>
  z
    .union([z.number(), z.string().regex(/^\d+$/)])
    .pipe(z.coerce.number<string | number>().int().min(least).max(most));

const port = wholeNumber(0, 65_535);
const PORT_RIGHT = 'a port from 0 (any free one) to 65535';
const SERVE_PORT_MEANING = "the model server's port";

const DATA = setting(
  z.string().default(DEFAULTS.data),
  'a folder',
  'the data folder, made when it is not there; a model server keeps its cache in `serving/` below it',
);
const HOST = setting(
  z.string().default(DEFAULTS.host),
  'an address of this machine',
  'the address to listen on',
);
const PORT = setting(port.default(DEFAULTS.port), PORT_RIGHT, "the control plane's port");
const INSECURE_NO_AUTH = setting(
  z
    .union([
      z.boolean(),
      z.stringbool({ truthy: ['1', 'true', 'yes', 'on'], falsy: ['0', 'false', 'no', 'off'] }),
    ])
    .default(false),
  '1 or 0, true or false',
  'listens beyond this machine although nobody has to sign in',
);
const DATABASE_URL = setting(
  z
    .string()
    .regex(/^(sqlite:.|postgres(ql)?:\/\/.)/)
    .optional(),
  'postgres://user:password@host/database, or sqlite:/path/to/tidemill.db',
  'the database; without it the embedded one, `tidemill.db` in the data folder',
);

const LOG_LEVEL = setting(
  z.enum(LOG_LEVELS).default('warn'),
  `one of ${LOG_LEVELS.join(', ')}`,
  'the least severe level that is logged',
);
const ALLOWED_HOSTS = setting(
  z.string().default(''),
  'host names, separated by commas',
  'names in the `Host` header that are answered besides the address and `localhost`; separated by commas',
);

const CLOCK = setting(
  z.enum(CLOCK_KINDS).default('wall'),
  `one of ${CLOCK_KINDS.join(', ')}`,
  'what tells the time: `wall`, or `events`: the newest timestamp of a prediction or label, so that a replay of last year behaves as last year did',
);

/** What a model server reads from the environment, however it was started. */
const servingShape = {
  TIDEMILL_LOG_LEVEL: LOG_LEVEL,
  TIDEMILL_ALLOWED_HOSTS: ALLOWED_HOSTS,
  TIDEMILL_DEFAULT_MODEL: setting(
    z.string().optional(),
    'the name of a model',
    'the model that `/predict` answers for when there are several',
  ),
  TIDEMILL_PREDICT_MAX_ROWS: count(10_000, 'the most rows of one request'),
  TIDEMILL_PREDICT_MAX_QUEUE_ROWS: count(20_000, 'the most rows that may wait for one model'),
  TIDEMILL_PREDICT_TIMEOUT_MS: count(10_000, 'milliseconds after which a prediction is given up'),
  TIDEMILL_PREDICT_BODY_LIMIT_BYTES: count(16 * 1024 * 1024, 'the most bytes of one request'),
  TIDEMILL_REPORT_MS: setting(
    wholeNumber(1, Number.MAX_SAFE_INTEGER).optional(),
    'a whole number from 1',
    'milliseconds after which the log and the profiles of new predictions go to the control plane',
    '`5000`, or `100` where the clock follows the events',
  ),
  TIDEMILL_PREDICTION_LOG_LIMIT_BYTES: count(
    4 * 1024 ** 3,
    'the most bytes of the prediction log that may wait for the control plane; beyond them new entries are dropped and counted',
  ),
  TIDEMILL_DRAIN_UNREADY_MS: setting(
    wholeNumber(0, Number.MAX_SAFE_INTEGER).default(0),
    'a whole number from 0',
    'milliseconds of answering as unready before connections are refused at the stop, so that a load balancer can turn away',
  ),
};

/** A duration in milliseconds; 0 needs no unit. */
const duration = z.string().transform((text, context) => {
  if (text.trim() === '0') return 0;
  const ms = parseDuration(text);
  if (ms === undefined) context.addIssue({ code: 'custom', message: DURATION_RIGHT });
  return ms ?? 0;
});

/** What a control plane reads from the environment, however it was started. */
const controlPlaneShape = {
  TIDEMILL_LOG_RETENTION: setting(
    duration.default(365 * 86_400_000),
    'a duration as 365d, or 0',
    'how old the rows of the prediction log get, by their event time, before their files are dropped; 0 keeps them',
    '`365d`',
  ),
  TIDEMILL_LOG_LEVEL: LOG_LEVEL,
  TIDEMILL_ALLOWED_HOSTS: ALLOWED_HOSTS,
  TIDEMILL_TRIGGER_TOKEN: setting(
    z.string().min(8).optional(),
    'at least 8 characters',
    'when set, whoever asks for a retraining over HTTP sends it as `Authorization: Bearer …`',
  ),
  DATABASE_URL,
};

const listenShape = {
  TIDEMILL_CLOCK: CLOCK,
  TIDEMILL_DATA: DATA,
  TIDEMILL_HOST: HOST,
  TIDEMILL_INSECURE_NO_AUTH: INSECURE_NO_AUTH,
};

/** One schema for each way to start a process; a flag of the same name wins over the variable. */
export const SETTINGS = {
  up: z.object({
    ...listenShape,
    TIDEMILL_PORT: PORT,
    TIDEMILL_SERVE_PORT: setting(
      port.optional(),
      PORT_RIGHT,
      SERVE_PORT_MEANING,
      '`7071`, or any free one where the port is 0',
    ),
    ...servingShape,
    // Its log level: a person at a terminal wants no line for each request or model.
    ...controlPlaneShape,
  }),
  server: z.object({ ...listenShape, TIDEMILL_PORT: PORT, ...controlPlaneShape }),
  serve: z.object({
    ...listenShape,
    TIDEMILL_SERVE_PORT: setting(port.default(DEFAULTS.servePort), PORT_RIGHT, SERVE_PORT_MEANING),
    TIDEMILL_URL: setting(
      z.url({ protocol: /^https?$/ }).default(DEFAULTS.url),
      'a URL as http://127.0.0.1:7070',
      'the control plane that commands call and that `serve` follows',
    ),
    ...servingShape,
  }),
  backup: z.object({ TIDEMILL_DATA: DATA, DATABASE_URL }),
  restore: z.object({ TIDEMILL_DATA: DATA, DATABASE_URL }),
};

/** Settings of the commands that call a server; each reads its own where it needs it. */
export const CLIENT_SETTINGS: Record<string, { flag?: string; fallback: string; meaning: string }> = {
  TIDEMILL_SERVE_URL: {
    flag: '--serve-url',
    fallback: 'the one that the control plane knows, else `http://127.0.0.1:7071`',
    meaning: 'the model server that commands call',
  },
  TIDEMILL_DEBUG: { fallback: 'not set', meaning: 'any value adds the stack to unexpected errors' },
};

export type ProcessName = keyof typeof SETTINGS;
export type Settings<P extends ProcessName> = z.infer<(typeof SETTINGS)[P]>;

/**
 * The settings of a process, from its flags and the environment.
 *
 * @throws ConfigError naming every wrong variable or flag.
 */
export function loadSettings<P extends ProcessName>(
  name: P,
  env: Environment,
  flags: Record<string, unknown> = {},
): Settings<P> {
  return loadConfig(SETTINGS[name], env, flags) as Settings<P>;
}

/** The model server's port under `up`: `--port 0` asks for a platform beside another one, and then 7071 is that one's. */
export function servePortOf(settings: Settings<'up'>): number {
  return settings.TIDEMILL_SERVE_PORT ?? (settings.TIDEMILL_PORT === 0 ? 0 : DEFAULTS.servePort);
}

/** A warning for each `TIDEMILL_*` variable that no process reads. */
export function unknownSettings(env: Environment): string[] {
  return findUnknownVariables(env, [...Object.values(SETTINGS), ...Object.keys(CLIENT_SETTINGS)]);
}

export interface ControlPlaneConfig {
  logRetentionMs: number;
  logLevel: LogLevel;
  allowedHosts: string[];
  databaseUrl: string | undefined;
  triggerToken: string | undefined;
}

/** @throws ConfigError naming the variable. */
export function loadControlPlaneConfig(env: Environment): ControlPlaneConfig {
  const config = loadConfig(z.object(controlPlaneShape), env);
  return {
    logRetentionMs: config.TIDEMILL_LOG_RETENTION,
    logLevel: config.TIDEMILL_LOG_LEVEL,
    allowedHosts: hostNames(config.TIDEMILL_ALLOWED_HOSTS),
    databaseUrl: config.DATABASE_URL,
    triggerToken: config.TIDEMILL_TRIGGER_TOKEN,
  };
}

export interface ServingConfig {
  logLevel: LogLevel;
  allowedHosts: string[];
  defaultModel: string | undefined;
  maxRows: number;
  maxQueueRows: number;
  timeoutMs: number;
  bodyLimitBytes: number;
  unreadyMs: number;
  /** Undefined: as usual for the clock that is taken. */
  reportMs: number | undefined;
  logLimitBytes: number;
}

/** @throws ConfigError naming the variable. */
export function loadServingConfig(
  env: Environment,
  flags: { defaultModel?: string | undefined } = {},
): ServingConfig {
  const config = loadConfig(z.object(servingShape), env, flags);
  return {
    logLevel: config.TIDEMILL_LOG_LEVEL,
    allowedHosts: hostNames(config.TIDEMILL_ALLOWED_HOSTS),
    defaultModel: config.TIDEMILL_DEFAULT_MODEL,
    maxRows: config.TIDEMILL_PREDICT_MAX_ROWS,
    maxQueueRows: config.TIDEMILL_PREDICT_MAX_QUEUE_ROWS,
    timeoutMs: config.TIDEMILL_PREDICT_TIMEOUT_MS,
    bodyLimitBytes: config.TIDEMILL_PREDICT_BODY_LIMIT_BYTES,
    unreadyMs: config.TIDEMILL_DRAIN_UNREADY_MS,
    reportMs: config.TIDEMILL_REPORT_MS,
    logLimitBytes: config.TIDEMILL_PREDICTION_LOG_LIMIT_BYTES,
  };
}

function count(fallback: number, meaning: string) {
  return setting(wholeNumber(1, Number.MAX_SAFE_INTEGER).default(fallback), 'a whole number from 1', meaning);
}

function hostNames(list: string): string[] {
  return list.split(',').flatMap((name) => name.trim() || []);
}
