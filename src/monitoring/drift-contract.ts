import { z } from 'zod';

export const modelParams = z.object({ name: z.string() });
export const alarmParams = z.object({ id: z.coerce.number().int().min(1) });

const time = z.int().describe('ms since the epoch, event time');
const spanSchema = z.strictObject({ from: time, to: time.describe('ms since the epoch; half-open') });

export const alarmSchema = z
  .strictObject({
    id: z.int(),
    model: z.string(),
    version: z.string(),
    kind: z.enum(['drift', 'performance']),
    column: z.string().optional(),
    aspect: z.enum(['values', 'missing', 'unseen']).optional(),
    state: z.enum(['open', 'closed']),
    opened_at: time,
    window: spanSchema,
    text: z.string().describe('The alarm in a sentence'),
    evidence: z.record(z.string(), z.unknown()),
    closed_at: time.optional(),
    closed_by: z.string().optional(),
    close_reason: z.string().optional(),
    acknowledged_at: time.optional(),
    acknowledged_by: z.string().optional(),
    acknowledge_reason: z.string().optional(),
  })
  .meta({ id: 'Alarm' });

const testSchema = z.strictObject({
  column: z.string(),
  aspect: z.enum(['values', 'missing', 'unseen']),
  watched: z.boolean().describe('false: the reference has too few windows of it to raise alarms'),
  rows: z.number(),
  reference_rows: z.number(),
  p: z.number().describe('With day effects; 1e-12 at least'),
  statistic: z.number(),
  df: z.number(),
  psi: z.number(),
  ks: z.number().optional(),
  rate: z.number().optional(),
  reference_rate: z.number().optional(),
  drifted: z.boolean().describe('By Benjamini-Hochberg over the tests of the window, q = 0.05'),
  effect: z.number().optional(),
  importance: z.number().optional().describe("Share of the model's reliance on the column"),
  weight: z.number().optional().describe('Effect times importance: the order of the list'),
  moved: z.array(z.strictObject({ label: z.string(), reference: z.number(), window: z.number() })).optional(),
  words: z.string().optional(),
});

const segmentSchema = z.strictObject({
  column: z.string(),
  value: z.string(),
  rows: z.int(),
  share: z.number().describe("Of the window's rows"),
  reference_share: z.number().optional(),
  against: z
    .enum(['segment', 'reference'])
    .describe(
      'Compared with the same segment of the reference; or with all its rows, as it has no such segment',
    ),
  test_count: z.int(),
  tests: z
    .array(
      z.strictObject({
        column: z.string(),
        aspect: z.enum(['values', 'missing', 'unseen']),
        rows: z.number(),
        psi: z.number(),
        p: z.number().describe('Adjusted by Benjamini-Hochberg over the segments of the window'),
        drifted: z.boolean().describe('p <= 0.05; it raises no alarm'),
        words: z.string().optional(),
      }),
    )
    .describe('The twenty that differ most at most'),
});

const performanceSchema = z.strictObject({
  state: z.enum(['tested', 'reference', 'too few labels', 'not measurable']),
  metric: z.string(),
  value: z.number().optional(),
  skill: z.number().optional(),
  rows: z.int(),
  labelled: z.int(),
  coverage: z.number().optional(),
  p: z.number().optional(),
  reference: z.strictObject({ mean: z.number(), sd: z.number(), windows: z.int() }).optional(),
  note: z.string().optional(),
});

const windowState = z.enum(['tested', 'too small', 'partial', 'no reference', 'off']);

export const windowSchema = z
  .strictObject({
    from: time,
    to: time,
    version: z.string(),
    rows: z.int(),
    late_rows: z.int().describe('Came after the window was closed, and are in no test'),
    state: windowState.describe(
      'partial: the version answered other parts of some hours than of others, so that drift is not tested',
    ),
    note: z.string().optional(),
    closed_at: time,
    tests: z.array(testSchema).optional(),
    segments: z
      .array(segmentSchema)
      .optional()
      .describe('What differs within the values of the columns of monitor.segments, of 200 rows and more'),
    performance: performanceSchema.optional(),
  })
  .meta({ id: 'MonitorWindow' });

const untestedSchema = z.strictObject({
  windows: z.int().describe('So many in a row, up to the newest'),
  since: time.describe('When the first of them began'),
  state: windowState.describe('What became of the newest'),
});

export const windowListSchema = z
  .strictObject({
    model: z.string(),
    windows: z.array(windowSchema).describe('Newest first'),
    has_older: z.boolean().describe('Older ones were asked for too, and are beyond the limit'),
    untested: untestedSchema
      .optional()
      .describe('Drift has not been tested in the newest windows, two and more in a row'),
    sequences: z
      .array(
        z.strictObject({
          kind: z.string(),
          version: z.string(),
          column: z.string(),
          aspect: z.string(),
          log_m: z.number().optional(),
          runs: z.int(),
        }),
      )
      .describe('Where the evidence stands from which alarms are raised'),
  })
  .meta({ id: 'MonitorWindowList' });

export const windowQuery = z.object({
  from: z.coerce.number().int().optional(),
  to: z.coerce.number().int().optional(),
  version: z.string().optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(30),
  tests: z
    .enum(['all', 'drifted', 'none'])
    .default('drifted')
    .describe('Which tests of a window are answered'),
});

export const alarmQuery = z.object({
  state: z.enum(['open', 'closed']).optional(),
  kind: z.enum(['drift', 'performance']).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
});

export const alarmListSchema = z.strictObject({
  alarms: z.array(alarmSchema).describe('Newest first'),
  untested: z
    .array(untestedSchema.extend({ model: z.string() }))
    .describe('Models that can raise no alarm of drift now: none of their newest windows was tested'),
});

export const acknowledgeRequest = z.object({ reason: z.string().optional() }).nullish();
export const closeRequest = z.object({ reason: z.string().trim().min(1).describe('Why it is over') });

export const takenSchema = z.strictObject({ taken: z.int().describe('Entries of the report') });
