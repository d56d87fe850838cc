import { z } from 'zod';

/** A model version as the model server needs to know it: enough to fetch its bytes and to check them. */
export const desiredVersionSchema = z.object({
  version: z.string().describe('The version number, as text: "1", "2", …'),
  run_id: z.string().optional().describe('The run that logged the model'),
  sha256: z.string().describe('Hex digest of the ONNX bytes'),
  size_bytes: z.int().describe('Size of the ONNX bytes'),
});

/** How the requests of a rollout are split; a caller's key always meets the same side while the weight grows. */
export const desiredRolloutSchema = z.object({
  id: z.string().describe('Salts the hash of the key, so that each rollout draws its callers anew'),
  candidate: desiredVersionSchema,
  mode: z
    .enum(['shadow', 'canary'])
    .describe("shadow: the candidate sees copies and answers nobody; canary: it answers its weight's share"),
  weight: z
    .number()
    .min(0)
    .max(1)
    .describe('The share of requests that the candidate answers (canary) or sees (shadow)'),
  sticky_header: z.string().optional().describe("The request header that carries the caller's key"),
  sticky_column: z.string().optional().describe("The column of the row that is the caller's key"),
});

/** One registered model that should answer: its champion, what served before it, kept warm for undo, and a rollout. */
export const desiredModelSchema = z.object({
  name: z.string(),
  champion: desiredVersionSchema,
  previous: desiredVersionSchema.optional(),
  rollout: desiredRolloutSchema.optional(),
  segments: z
    .array(z.string())
    .optional()
    .describe('Columns whose values are profiled apart, beside all rows: texts, categories and booleans'),
});

/** A model whose champion exists but cannot be loaded, with the reason in words. */
export const notServableSchema = z.object({
  name: z.string(),
  version: z.string(),
  reason: z.string(),
});

/**
 * What the model servers should serve. `revision` changes with every move of what serves; it is also the
 * ETag of the route, so that a server asks with `If-None-Match` and gets 304 while nothing moved.
 */
export const desiredStateSchema = z.object({
  revision: z.string(),
  models: z.array(desiredModelSchema),
  not_servable: z.array(notServableSchema),
});

export type DesiredVersion = z.infer<typeof desiredVersionSchema>;
export type DesiredModel = z.infer<typeof desiredModelSchema>;
export type DesiredState = z.infer<typeof desiredStateSchema>;
export type DesiredRollout = z.infer<typeof desiredRolloutSchema>;

/** In which part a version answered: the champion, the canary of a rollout, its shadow, or a warm predecessor asked by its number. */
export const VARIANTS = ['champion', 'canary', 'shadow', 'previous'] as const;
export type Variant = (typeof VARIANTS)[number];

/**
 * One line of a segment of kind `predictions`: one predicted row. The names are short because a line is written for
 * every prediction.
 */
export const predictionLineSchema = z.object({
  id: z
    .string()
    .describe("The prediction's id; a shadow's line carries the id of the answer that it shadows"),
  t: z.int().describe("Event time: the caller's timestamp, else when it was answered; ms since the epoch"),
  at: z.int().describe("When it was answered by the machine's own clock; ms since the epoch"),
  m: z.string().describe('The registered model'),
  v: z.string().describe('The version'),
  var: z.enum(VARIANTS),
  ms: z.number().describe("Milliseconds of the model's run"),
  f: z
    .record(z.string(), z.unknown())
    .describe('The row as it came, by column, with columns that the model does not know'),
  p: z.unknown().describe('The predicted class or value'),
  pr: z.array(z.number()).optional().describe("Probabilities in the signature's order of classes"),
  k: z.string().optional().describe('The key that the split was drawn by'),
  ce: z
    .record(z.string(), z.string())
    .optional()
    .describe('CloudEvents attributes of the request: id, source, type …'),
});
export type PredictionLine = z.infer<typeof predictionLineSchema>;

/** One line of a segment of kind `feedback`: one label. A later line for the same id replaces; history stays. */
export const feedbackLineSchema = z.object({
  id: z.string().describe('The prediction that it is the truth of'),
  m: z.string().describe('The registered model'),
  y: z.union([z.string(), z.number(), z.boolean()]).describe('The true class or value'),
  t: z.int().describe('When the truth was known: event time, ms since the epoch'),
  at: z.int().describe("When it was taken, by the machine's own clock; ms since the epoch"),
});
export type FeedbackLine = z.infer<typeof feedbackLineSchema>;

export const SEGMENT_KINDS = ['predictions', 'feedback'] as const;
export type SegmentKind = (typeof SEGMENT_KINDS)[number];

/**
 * `PUT /api/v1/serving/segments/{kind}/{replica}/{incarnation}/{sequence}`, body: lines of JSON
 * (`application/x-ndjson`), header `x-content-sha256`: hex digest of the body. 200 means: kept for good. The same
 * segment again is 200 and changes nothing; other bytes under the same name are 409.
 */
export const segmentParams = z.object({
  kind: z.enum(SEGMENT_KINDS),
  replica: z.string().regex(/^[A-Za-z0-9_.-]{1,100}$/),
  incarnation: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  sequence: z.coerce.number().int().min(0),
});
export type SegmentName = z.infer<typeof segmentParams>;

/** Far more than any server counts, and far from where the sum of many is no longer exact. */
const count = z.int().min(0).max(1e12);

/** What one version did for one hour of event time, in one variant: counts since the incarnation's part began. */
export const profileEntrySchema = z.object({
  model: z.string(),
  version: z.string(),
  variant: z.enum(VARIANTS),
  hour: z.int().describe('Start of the hour of event time, ms since the epoch'),
  segment: z
    .string()
    .max(500)
    .describe("'' for all rows; else `column=value`: rows that are counted under '' too, without `latency`"),
  part: z
    .int()
    .min(0)
    .describe('0 at first; raised when an hour was put away and then continued, so that parts add up'),
  answered: count.describe('Predicted rows'),
  failed: count.describe('Requests of it that ended in a 5xx'),
  latency: z
    .array(count)
    .max(100)
    .describe('Counts of run time per row batch by LATENCY_EDGES_MS, the last one over'),
  profile: z
    .string()
    .optional()
    .describe(
      'The profile of its columns and answers, as profiles/ encodes it; left out when the model has no reference',
    ),
});
export type ProfileEntry = z.infer<typeof profileEntrySchema>;

/** Upper edges of the counts in `latency`, in milliseconds. */
export const LATENCY_EDGES_MS = [
  0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000,
] as const;

/**
 * `PUT /api/v1/serving/profiles/{replica}/{incarnation}`: cumulative snapshots; each entry replaces the one with the
 * same key (replica, incarnation, part, model, version, variant, hour, segment), so that repeats do no harm. It is
 * sent after the segments of what it counts were taken, and then its watermark is the newest event time among them.
 */
export const profileReportSchema = z.object({
  watermark: z
    .int()
    .nullable()
    .describe('Newest event time of all that was shipped, ms; null when nothing was'),
  dropped: count.describe('Log entries dropped by this incarnation so far'),
  entries: z.array(profileEntrySchema),
});
export type ProfileReport = z.infer<typeof profileReportSchema>;
export const reporterParams = segmentParams.pick({ replica: true, incarnation: true });
export type Reporter = z.infer<typeof reporterParams>;
