import { z } from 'zod';
import { ApiError, DURATION_RIGHT, parseDuration } from '../platform/index.ts';

/** Metrics that champion and challenger can be compared by. */
export const GATE_METRICS = ['log_loss', 'brier', 'accuracy', 'roc_auc', 'rmse', 'mae'] as const;
export type GateMetric = (typeof GATE_METRICS)[number];

/** Metrics where more is better; of all others, less is. */
const MORE_IS_BETTER: ReadonlySet<GateMetric> = new Set(['accuracy', 'roc_auc']);
export const isMoreBetter = (metric: GateMetric): boolean => MORE_IS_BETTER.has(metric);

/** The margin where a project names none: this share of the champion's metric. */
export const DEFAULT_MARGIN_SHARE = 0.01;

/** Kept as it was written, so that a policy that was read can be read again. */
const durationText = z
  .string()
  .refine((text) => parseDuration(text) !== undefined, `must be ${DURATION_RIGHT}`);

/** What a version must show before it may serve: the key `gate` of the project file. */
export const gatePolicySchema = z.strictObject({
  metric: z
    .enum(GATE_METRICS)
    .optional()
    .describe('What decides; default: log_loss for classes, rmse for values'),
  nonInferiority: z
    .number()
    .positive()
    .optional()
    .describe(
      `The margin δ in the metric's unit: worse by less is as good; default: ${DEFAULT_MARGIN_SHARE * 100} % of the champion's metric`,
    ),
  atLeast: z
    .number()
    .optional()
    .describe('How good a version must be, whatever serves: at least this, for a loss or an error at most'),
  alpha: z
    .number()
    .gt(0)
    .max(0.5)
    .default(0.05)
    .describe('Chance of a wrong word about one set of rows, however often it is looked at'),
  slices: z
    .array(z.string().min(1))
    .max(8)
    .default([])
    .describe('Columns in none of whose values a version may be shown worse'),
  evaluate: durationText.default('7d').describe('The newest rows that retraining keeps for the comparison'),
  cluster: z
    .enum(['day', 'entity', 'row'])
    .optional()
    .describe('Rows that go together; default: the day, else the entity, else each row for itself'),
});
export type GatePolicy = z.infer<typeof gatePolicySchema>;

/** How a version takes over: the key `rollout` of the project file. */
export const rolloutPolicySchema = z
  .strictObject({
    shadow: durationText
      .optional()
      .describe('So long the version sees copies of the requests first and answers nobody'),
    canary: z
      .array(z.number().gt(0).max(100))
      .min(1)
      .max(20)
      .default([100])
      .describe('Percent of the requests, step by step; [100] moves all of them at once'),
    stepFor: durationText.default('10m').describe('The shortest time of a step'),
    maxStepFor: durationText
      .optional()
      .describe('A step that shows nothing for so long is paused; default: 7 times stepFor'),
    minRequests: z
      .int()
      .min(0)
      .default(50)
      .describe('Requests that the version must have answered, or seen, in a step'),
    maxDisagreement: z
      .number()
      .gt(0)
      .max(1)
      .optional()
      .describe('In shadow: the share of answers that may differ from the champion; default: shown only'),
    sticky: z
      .union([z.strictObject({ header: z.string().min(1) }), z.strictObject({ column: z.string().min(1) })])
      .optional()
      .describe("Where the caller's key is, so that a caller always meets the same version"),
    watch: durationText
      .default('7d')
      .describe("After 100 %: so long late labels may still give the predecessor its place back; '0s': not"),
  })
  .superRefine(({ canary, stepFor, maxStepFor }, context) => {
    if (canary.some((weight, i) => i > 0 && weight <= (canary[i - 1] as number)))
      context.addIssue({ code: 'custom', path: ['canary'], message: 'must rise from step to step' });
    if (maxStepFor !== undefined && (parseDuration(maxStepFor) ?? 0) < (parseDuration(stepFor) ?? 0))
      context.addIssue({ code: 'custom', path: ['maxStepFor'], message: 'must not be shorter than stepFor' });
  });
export type RolloutPolicy = z.infer<typeof rolloutPolicySchema>;

/** Who may let a version in by hand: those who are named, or with true anybody but who made it. */
export type Approvers = true | readonly string[] | undefined;

const approversSchema = z
  .union([z.boolean(), z.array(z.string())])
  .optional()
  .transform((said): Approvers => said || undefined);

/** How one model's versions are judged and let in. */
export interface DeliveryPolicy {
  gate: GatePolicy;
  rollout: RolloutPolicy;
  approvers: Approvers;
  /** A project says how this model is judged; without one the defaults hold. */
  hasGate: boolean;
}

/** What a project says of a model, as it was written or as the schemas gave it back. */
export type PolicyOf = (name: string) => Promise<WrittenPolicy | undefined> | WrittenPolicy | undefined;

export interface WrittenPolicy {
  gate?: unknown;
  rollout?: unknown;
  approve?: unknown;
  /** Columns by whose values the model servers count rows apart. */
  segments?: readonly string[];
}

/** The policy of a model with every default filled in. */
export async function readPolicy(policyOf: PolicyOf | undefined, name: string): Promise<DeliveryPolicy> {
  const said = await policyOf?.(name);
  return {
    gate: parse(gatePolicySchema, said?.gate, `models.${name}.gate`),
    rollout: parse(rolloutPolicySchema, said?.rollout, `models.${name}.rollout`),
    approvers: parseSaid(approversSchema, said?.approve, `models.${name}.approve`),
    hasGate: said?.gate !== undefined,
  };
}

function parse<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  return parseSaid(schema, value ?? {}, where);
}

function parseSaid<T>(schema: z.ZodType<T>, value: unknown, where: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const path = [where, ...(issue?.path ?? [])].join('.');
  throw new ApiError('INVALID_PARAMETER_VALUE', `${path}: ${issue?.message ?? 'is not understood'}`);
}

export interface RolloutTimes {
  shadowMs: number;
  stepMs: number;
  maxStepMs: number;
  watchMs: number;
}

const STEPS_UNTIL_PAUSE = 7;

/** The durations of a rollout in milliseconds. */
export function rolloutTimes({ shadow, stepFor, maxStepFor, watch }: RolloutPolicy): RolloutTimes {
  const stepMs = parseDuration(stepFor) ?? 0;
  return {
    shadowMs: parseDuration(shadow) ?? 0,
    stepMs,
    maxStepMs: parseDuration(maxStepFor) ?? STEPS_UNTIL_PAUSE * stepMs,
    watchMs: parseDuration(watch) ?? 0,
  };
}

/** Weights below 100 that a rollout stays at, in percent; reaching 100 is being the champion. */
export const canaryWeights = ({ canary }: RolloutPolicy): number[] => canary.filter((weight) => weight < 100);
