import { z } from 'zod';

export const segmentHeaders = z.object({
  'x-content-sha256': z
    .string()
    .regex(/^[0-9a-fA-F]{64}$/, 'it must be the sha256 of the body, 64 hex digits')
    .optional(),
});
export const takenSegmentSchema = z.object({
  is_new: z.boolean().describe('False when the same segment was taken before'),
});

export const queryBody = z.object({
  sql: z.string().min(1).describe('One SELECT over predictions, labels, and a view for each model'),
  limit_rows: z.int().min(1).max(100_000).default(10_000),
  timeout_ms: z.int().min(1).max(300_000).default(30_000),
});
export const queryAnswerSchema = z.object({
  columns: z.array(z.object({ name: z.string(), type: z.string().describe('As DuckDB calls it') })),
  rows: z
    .array(z.array(z.unknown()))
    .describe('Whole numbers beyond 2^53 and long decimals are text, times ISO text in UTC'),
  truncated: z.boolean().describe('Whether there were more rows than limit_rows'),
});

export const logViewsSchema = z.object({
  views: z.array(
    z.object({
      name: z.string(),
      about: z.string(),
      columns: z.array(
        z.object({
          name: z.string(),
          type: z.string().describe('As DuckDB calls it'),
          about: z.string().optional(),
        }),
      ),
    }),
  ),
});

export const forgetBody = z.object({
  column: z.string().min(1).describe('A logged column, or @key: what the split was drawn by'),
  value: z.string().describe('Its value, as text'),
  model: z.string().min(1).optional().describe('Only this model; else all'),
  reason: z.string().min(1).max(10_000),
});
export const forgottenSchema = z.object({
  files: z.int().describe('Files that were written anew or removed'),
  predictions: z.int(),
  labels: z.int().describe('Labels of those predictions'),
  set_aside: z.int().describe('Lines that were no log entries, and held the value'),
});

export const modelParams = z.object({ name: z.string().min(1) });
export const modelLogSchema = z.object({
  model: z.string(),
  rows: z.int(),
  labelled: z.int().describe('Rows whose label is known'),
  labels: z.int().describe('Every label that was given, also for rows that are not here'),
  newest_event: z.int().nullable().describe('Event time of the newest row, ms; null without rows'),
  dropped: z.object({
    retention: z.int().describe('Rows that grew too old'),
    forgotten: z.int().describe('Rows that were forgotten'),
  }),
  bad_lines: z.int().describe('Lines, of all models, that were no log entries and were set aside'),
  dropping_servers: z
    .array(z.object({ replica: z.string(), dropped: z.int() }))
    .describe('Model servers that had to drop entries of any model instead of logging them'),
  groups: z.array(
    z.object({
      day: z.int().describe('Start of the UTC day of event time, ms'),
      version: z.string(),
      variant: z.string(),
      rows: z.int(),
      labelled: z.int(),
    }),
  ),
});
