import { z } from 'zod';
import { ATTEMPT_OUTCOMES, RUN_STATUSES, STEP_KINDS, STEP_STATUSES } from './store/tables.ts';

/** The longest that a question for lines is held. */
export const MAX_WAIT_MS = 30_000;

export const runParams = z.object({ run_id: z.string() });
export const stepParams = runParams.extend({ step: z.string() });

const several = z.preprocess(
  (value) => (typeof value === 'string' ? value.split(',').map((part) => part.trim()) : value),
  z.array(z.enum(RUN_STATUSES)),
);

export const listQuery = z.object({
  flow: z.string().optional().describe('For example `retrain`'),
  subject: z.string().optional().describe('What it is about: the name of a model'),
  status: several.optional().describe(`One or several of ${RUN_STATUSES.join(', ')}, separated by commas`),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  page_token: z.string().optional().describe('`next_page_token` of the page before'),
});

export const errorSchema = z
  .strictObject({
    code: z.string().optional(),
    message: z.string(),
    details: z.record(z.string(), z.unknown()).optional(),
  })
  .meta({ id: 'JobError' });

const time = z.int().describe('Milliseconds since the epoch');

const runShape = {
  run_id: z.string(),
  flow: z.string(),
  subject: z.string(),
  status: z.enum(RUN_STATUSES),
  trigger: z.strictObject({
    kind: z.string().describe('`hand`, or what started it'),
    detail: z.unknown().optional(),
  }),
  actor: z.string(),
  created_at: time,
  started_at: time.optional(),
  finished_at: time.optional(),
  work_ms: z.number().describe('What the attempts of its steps took, in real milliseconds'),
  waiting_for: z.string().optional().describe('The step that it waits at'),
  wake_at: time.optional().describe('When it goes on by itself'),
  failed_step: z.string().optional(),
  error: errorSchema.optional(),
};

export const runSchema = z.strictObject(runShape).meta({ id: 'Job' });

export const listSchema = z.strictObject({
  jobs: z.array(runSchema).describe('The newest first'),
  next_page_token: z.string().optional(),
});

export const stepSchema = z
  .strictObject({
    step: z.string(),
    kind: z.enum(STEP_KINDS),
    status: z.enum(STEP_STATUSES),
    started_at: time,
    finished_at: time.optional(),
    work_ms: z.number(),
    progress: z.number().min(0).max(1).optional(),
    progress_note: z.string().optional(),
    wake_at: time.optional(),
    result: z.unknown().optional(),
    error: errorSchema.optional(),
    attempts: z.array(
      z.strictObject({
        attempt: z.int(),
        started_at: time,
        finished_at: time.optional(),
        work_ms: z.number().optional(),
        outcome: z.enum(ATTEMPT_OUTCOMES).optional().describe('Missing while it is under way'),
        error: errorSchema.optional(),
      }),
    ),
    approval: z
      .strictObject({
        question: z.string(),
        deciders: z.array(z.string()).optional().describe('Without it everybody may decide'),
        not_by_starter: z.boolean().describe('Whoever started the job by hand may not decide'),
        approved: z.boolean().optional(),
        by: z.string().optional(),
        at: time.optional(),
        reason: z.string().optional(),
      })
      .optional(),
  })
  .meta({ id: 'JobStep' });

export const detailSchema = z
  .strictObject({
    ...runShape,
    key: z.string().describe('The same key of the same flow starts one job, ever'),
    input: z.unknown(),
    output: z.unknown().optional(),
    log_lines: z.int().describe('Lines written so far; the newest are kept'),
    steps: z.array(stepSchema).describe('In the order in which they began'),
  })
  .meta({ id: 'JobDetail' });

export const logQuery = z.object({
  after: z.coerce.number().int().min(0).default(0).describe('The last line that is known'),
  limit: z.coerce.number().int().min(1).max(5000).default(1000),
  wait_ms: z.coerce
    .number()
    .int()
    .min(0)
    .max(MAX_WAIT_MS)
    .default(0)
    .describe('Wait so long for a line, a change of progress, or the end'),
  seen: z.string().optional().describe('`state` of the answer before: waits for another'),
});

export const logSchema = z
  .strictObject({
    status: z.enum(RUN_STATUSES),
    state: z.string().describe('Changes with the status and with every step and its progress'),
    lines: z.array(
      z.strictObject({ line: z.int(), at: time, step: z.string(), attempt: z.int(), text: z.string() }),
    ),
    next: z.int().describe('`after` of the next question'),
    step: z.string().optional().describe('The step under way'),
    progress: z.number().optional(),
    progress_note: z.string().optional(),
  })
  .meta({ id: 'JobLog' });

export const actRequest = z
  .object({ reason: z.string().max(2000).optional().describe('Why; kept in the audit') })
  .nullish();

export const rejectRequest = z.object({
  reason: z.string().trim().min(1).max(2000).describe('Why; kept with the step and in the audit'),
});
