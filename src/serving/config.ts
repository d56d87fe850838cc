import { z } from 'zod';
import { type Environment, LOG_LEVELS, loadConfig } from '../platform/index.ts';

const count = (what: string, fallback: number) =>
  z.coerce.number().int().min(1).default(fallback).describe(what);

/** The settings of a model server. */
export const servingConfigSchema = z.object({
  TIDEMILL_LOG_LEVEL: z
    .enum(LOG_LEVELS)
    .default('info')
    .describe(`one of ${LOG_LEVELS.join(', ')}`),
  TIDEMILL_ALLOWED_HOSTS: z.string().default('').describe('host names, separated by commas'),
  TIDEMILL_DEFAULT_MODEL: z.string().optional().describe('the name of a model'),
  TIDEMILL_PREDICT_MAX_ROWS: count('the most rows of one request, 1 or more', 10_000),
  TIDEMILL_PREDICT_MAX_QUEUE_ROWS: count('the most rows that may wait for one model, 1 or more', 20_000),
  TIDEMILL_PREDICT_TIMEOUT_MS: count('milliseconds after which a prediction is given up, 1 or more', 10_000),
  TIDEMILL_PREDICT_BODY_LIMIT_BYTES: count('the most bytes of one request, 1 or more', 16 * 1024 * 1024),
  TIDEMILL_DRAIN_UNREADY_MS: z.coerce
    .number()
    .int()
    .min(0)
    .default(0)
    .describe('milliseconds of being unready before connections are refused at the stop, 0 or more'),
});

export interface ServingConfig {
  logLevel: (typeof LOG_LEVELS)[number];
  allowedHosts: string[];
  defaultModel: string | undefined;
  maxRows: number;
  maxQueueRows: number;
  timeoutMs: number;
  bodyLimitBytes: number;
  unreadyMs: number;
}

/** @throws ConfigError naming the variable. */
export function loadServingConfig(
  env: Environment,
  flags: { defaultModel?: string | undefined } = {},
): ServingConfig {
  const config = loadConfig(servingConfigSchema, env, flags);
  return {
    logLevel: config.TIDEMILL_LOG_LEVEL,
    allowedHosts: config.TIDEMILL_ALLOWED_HOSTS.split(',').flatMap((host) => host.trim() || []),
    defaultModel: config.TIDEMILL_DEFAULT_MODEL,
    maxRows: config.TIDEMILL_PREDICT_MAX_ROWS,
    maxQueueRows: config.TIDEMILL_PREDICT_MAX_QUEUE_ROWS,
    timeoutMs: config.TIDEMILL_PREDICT_TIMEOUT_MS,
    bodyLimitBytes: config.TIDEMILL_PREDICT_BODY_LIMIT_BYTES,
    unreadyMs: config.TIDEMILL_DRAIN_UNREADY_MS,
  };
}
