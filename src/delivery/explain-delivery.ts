import { writeDuration } from '../platform/index.ts';
import { BCA_CLUSTERS } from '../statistics/index.ts';
import {
  canaryWeights,
  DEFAULT_MARGIN_SHARE,
  type DeliveryPolicy,
  gatePolicySchema,
  rolloutPolicySchema,
  rolloutTimes,
} from './delivery-policy.ts';
import { describeGain, type Gain } from './gain/gain.ts';

/** One thing that decides about a model: what it is now, and by which formula. */
export interface Explanation {
  what: string;
  value: string;
  /** No project says otherwise. */
  isDefault: boolean;
  formula: string;
  /** The key of the project file, or where the rule stands. */
  source: string;
}

/** What the newest promotions brought. */
export const explainGains = (gains: readonly Gain[]): Explanation[] =>
  gains.map((gain) => ({
    what: `gained: version ${gain.version}, since ${new Date(gain.from).toISOString().slice(0, 10)}`,
    value: describeGain(gain),
    isDefault: true,
    formula:
      'it and its predecessor scored on the rows labelled while it was watched; positive is better; it decides nothing',
    source: DESIGN,
  }));

const DESIGN = 'built in';

/** Every threshold, default and formula of the gate and of rollouts, as they hold for one model. */
export function explainDelivery({ gate, rollout, approvers }: DeliveryPolicy): Explanation[] {
  const gateDefaults = gatePolicySchema.parse({});
  const rolloutDefaults = rolloutPolicySchema.parse({});
  const same = (a: unknown, b: unknown) => JSON.stringify(a) === JSON.stringify(b);
  const ofGate = (key: keyof typeof gate, what: string, value: string, formula: string): Explanation => ({
    what,
    value,
    isDefault: same(gate[key], gateDefaults[key]),
    formula,
    source: `gate.${key}`,
  });
  const ofRollout = (
    key: keyof typeof rollout,
    what: string,
    value: string,
    formula: string,
  ): Explanation => ({
    what,
    value,
    isDefault: same(rollout[key], rolloutDefaults[key]),
    formula,
    source: `rollout.${key}`,
  });
  const builtIn = (what: string, value: string, formula: string): Explanation => ({
    what,
    value,
    isDefault: true,
    formula,
    source: DESIGN,
  });
  const times = rolloutTimes(rollout);
  const duration = (ms: number) => (ms === 0 ? 'none' : writeDuration(ms));
  return [
    ofGate(
      'metric',
      'gate: what decides',
      gate.metric ?? 'log_loss for classes, rmse for values',
      'the paired difference challenger against champion on rows that neither has seen',
    ),
    ofGate(
      'nonInferiority',
      'gate: margin δ',
      gate.nonInferiority === undefined
        ? `${DEFAULT_MARGIN_SHARE * 100} % of the champion's metric`
        : String(gate.nonInferiority),
      'better if lo > 0; non-inferior if lo > -δ; worse if hi < -δ; else inconclusive. Better and non-inferior pass',
    ),
    ofGate(
      'alpha',
      'gate: α, one-sided',
      String(gate.alpha),
      'the k-th look at one evaluation set has α·6/(π²k²), so that all looks together have α',
    ),
    builtIn(
      'gate: interval [lo, hi]',
      `Student's t on the clusters' differences under ${BCA_CLUSTERS} clusters, BCa from ${BCA_CLUSTERS}`,
      't is widened by its own bootstrap where clusters are skewed; of clusters there are 100/α resamples, 2,000 to 200,000',
    ),
    ofGate(
      'cluster',
      'gate: rows that go together',
      gate.cluster ?? 'the day (UTC), else the entity, else each row',
      'their number, not that of the rows, makes the interval narrow',
    ),
    ofGate(
      'atLeast',
      'gate: floor',
      gate.atLeast === undefined ? 'none' : String(gate.atLeast),
      'metric >= floor, for losses and errors metric <= floor, whatever serves',
    ),
    ofGate(
      'slices',
      'gate: slices',
      gate.slices.length === 0 ? 'none' : gate.slices.join(', '),
      'worse in one slice blocks, at α by Holm over all slices; under 100 rows or 3 clusters it is too small to judge',
    ),
    ofGate('evaluate', 'gate: rows kept for it by retraining', gate.evaluate, 'the newest rows, by time'),
    builtIn(
      'gate: checks that block',
      'example, schema, leakage, latency, memory',
      "the recorded example is not reproduced; new or retyped columns; a new column that is the target under another name, on another scale or rounded; p99 of a row more than 10 times the champion's and over 1 ms; memory more than 10 times and over 256 MiB",
    ),
    {
      what: 'gate: who may promote by hand, or pass a step',
      value:
        approvers === undefined
          ? 'anybody'
          : approvers === true
            ? 'anybody but who made it'
            : approvers.join(', '),
      isDefault: approvers === undefined,
      formula:
        'nobody passes what they made or began themselves; pausing, aborting and rolling back need no approval',
      source: 'approve',
    },
    builtIn(
      'gate: told, not decided by',
      'calibration, reproducibility, near leakage, McNemar, DeLong',
      'calibration error of ten bins; whether the file tells rows, split, parameters, seed and code; a column that alone has an AUC or R² of 0.99; tests that take rows as independent',
    ),
    ofRollout(
      'shadow',
      'rollout: shadow first',
      duration(times.shadowMs),
      'copies of all requests, answers nobody',
    ),
    ofRollout(
      'canary',
      'rollout: steps',
      [...canaryWeights(rollout), 100].map((each) => `${each} %`).join(' -> '),
      'at 100 % the version is the champion; one step moves all at once',
    ),
    ofRollout(
      'stepFor',
      'rollout: a step takes',
      rollout.stepFor,
      'at least so long, minRequests requests, and nothing against it',
    ),
    ofRollout(
      'minRequests',
      'rollout: requests in a step',
      String(rollout.minRequests),
      'no traffic is inconclusive, neither a pass nor a failure',
    ),
    ofRollout(
      'maxStepFor',
      'rollout: paused after',
      duration(times.maxStepMs),
      'default 7 times stepFor; paused for want of requests or reports it goes on by itself when they have come, else it asks: resume, resume --skip, or abort',
    ),
    builtIn(
      'rollout: errors that undo',
      'p < α/6·6/(π²k²)',
      "Fisher's exact test of failed requests against the champion's since the rollout began, at each look k with 1.5 times the requests",
    ),
    builtIn(
      'rollout: latency that undoes',
      "more than 1 % of runs over 10 times the champion's p99, and over 5 ms",
      "binomial test at α/6·6/(π²k²); the champion's runs count since the hour in which the rollout began",
    ),
    builtIn(
      'rollout: labels that undo',
      'worse: hi < -δ',
      'the gate judges both versions on every row labelled since the rollout began, whoever answered it, at α/2·6/(π²k²); in the first 7 days at a tenth of it, by 20 blocks of consecutive rows instead of days',
    ),
    ofRollout(
      'maxDisagreement',
      'rollout: disagreement that undoes',
      rollout.maxDisagreement === undefined ? 'shown only' : String(rollout.maxDisagreement),
      "binomial test at α/6·6/(π²k²) of answers in shadow that differ from the champion's",
    ),
    ofRollout(
      'sticky',
      'rollout: who meets which version',
      rollout.sticky === undefined ? 'drawn for each request' : JSON.stringify(rollout.sticky),
      "a hash of the rollout and of the caller's key",
    ),
    ofRollout(
      'watch',
      'rollout: watched after 100 %',
      duration(times.watchMs),
      'at 1/8, 1/4, 1/2 and 1 of it the gate judges the predecessor on the rows labelled since; better gets its place back; in the first 7 days at a tenth of α, by 20 blocks of consecutive rows',
    ),
  ];
}
