import { type ModelProject, trainingParameters } from './project/project-schema.ts';
import { datasetOf, trainingDatasetOf } from './retraining/retrain-input.ts';
import { LEAST_ROWS, LEAST_ROWS_SHARE, MOST_MISSING_SHARE } from './retraining/validate-table.ts';
import type { Decision } from './tables.ts';
import { describeCause } from './triggers/describe-cause.ts';
import { describeExpectedGain, type GainEstimate, RECENT_WINDOWS } from './triggers/estimate-gain.ts';
import { FIRST_PAUSES_MS } from './triggers/retry-first.ts';

/** One thing that decides about a model: what it is now, and by which formula. */
export interface Explanation {
  what: string;
  value: string;
  /** No project says otherwise. */
  isDefault: boolean;
  formula: string;
  /** The key of the project file, or `built in`. */
  source: string;
}

/** What decides when a model is retrained, on what, and what stops it. `written` is the model as the project has it. */
export function explainRetraining(
  model: string,
  config: ModelProject | undefined,
  written: unknown,
  found: { expectedGain: GainEstimate; lastHeldBack: Decision | undefined },
): Explanation[] {
  if (config === undefined) {
    return [
      {
        what: 'retraining',
        value: 'never by itself',
        isDefault: true,
        formula: 'no project names this model, so nothing retrains it',
        source: 'built in',
      },
    ];
  }
  const said = (written ?? {}) as Record<string, unknown> & { retrain?: Record<string, unknown> };
  const { retrain, train, data, features, approve } = config;
  const of = (source: string, what: string, value: string | undefined, formula: string): Explanation => {
    const [key = '', inner] = source.split('.');
    const isSaid = key === 'retrain' ? said.retrain?.[inner ?? ''] !== undefined : said[key] !== undefined;
    return { what, value: value ?? 'none', isDefault: !isSaid, formula, source };
  };
  const builtIn = (what: string, value: string, formula: string): Explanation => ({
    what,
    value,
    isDefault: true,
    formula,
    source: 'built in',
  });
  const parameters = Object.entries(trainingParameters(train)).map(([key, value]) => `${key} ${value}`);
  return [
    of(
      'data',
      'training: rows',
      data.path ?? `dataset ${datasetOf(model, config)}`,
      `the rows to begin with, and the labelled rows of the log; what each training learned from is a version of ${trainingDatasetOf(model)}`,
    ),
    of('data', 'training: target', data.target, 'what is predicted'),
    of(
      'features',
      'training: derived columns',
      Object.keys(features ?? {}).join(', ') || undefined,
      'computed alike in training and in serving',
    ),
    of(
      'train',
      'training: how',
      [train.algorithm, ...parameters].join(', '),
      'parameters that are left out have the defaults of `tidemill train`',
    ),
    of(
      'retrain.schedule',
      'retraining: schedule',
      retrain?.schedule,
      `cron, in the time zone ${retrain?.timeZone ?? 'UTC'}; a time that comes in a cooldown is left out`,
    ),
    of(
      'retrain.on',
      'retraining: causes',
      retrain?.on.join(', ') || undefined,
      'drift, performance: an open alarm about the version that serves; newData: see below',
    ),
    of(
      'retrain.newRows',
      'retraining: new data',
      retrain && `${retrain.newRows} rows`,
      'so many newly labelled rows since the last retraining, or another content of the source',
    ),
    of(
      'retrain.cooldown',
      'retraining: cooldown',
      retrain?.cooldown,
      'nothing but a person starts one so long after the start of another; an alarm that is open then is a cause again',
    ),
    of(
      'retrain.minimumGain',
      'retraining: least gain',
      retrain && String(retrain.minimumGain),
      `drift, performance and new data start none below it; gain = mean skill of the baseline windows − mean skill of the labelled windows since the alarm (new data: the newest ${RECENT_WINDOWS}), nothing if that is negative, ± t(k − 1)·sd·√(1/n + 1/k); where it is unknown the cause goes through; a schedule, a webhook and a person need none`,
    ),
    builtIn(
      'retraining: expected gain now',
      describeExpectedGain(found.expectedGain).replace(/^expected gain /, ''),
      `of the newest ${RECENT_WINDOWS} labelled windows of the version that serves`,
    ),
    ...(found.lastHeldBack === undefined
      ? []
      : [
          builtIn(
            'retraining: held back',
            `${new Date(found.lastHeldBack.at).toISOString().slice(0, 16)}Z: ${describeCause(found.lastHeldBack)}`,
            found.lastHeldBack.reason ?? '',
          ),
        ]),
    of(
      'retrain.window',
      'retraining: window',
      retrain?.window,
      'learns from the rows of so long before the newest labelled one; none: from all',
    ),
    builtIn(
      'retraining: the first version',
      'at once',
      `one that fails is tried again after ${FIRST_PAUSES_MS.map((ms) => ms / 60_000).join(', ')} min, then when the data changes`,
    ),
    builtIn(
      'retraining: one at a time',
      'always',
      'none begins while another, or a rollout of the model, is under way',
    ),
    builtIn(
      'validation: rows',
      `${LEAST_ROWS}`,
      `fewer stop it, and fewer than ${100 * LEAST_ROWS_SHARE} % of the rows of the window before`,
    ),
    builtIn(
      'validation: missing values',
      `${100 * MOST_MISSING_SHARE} %`,
      'a larger share stops it, in a column that had at most half missing before',
    ),
    builtIn(
      'validation: columns, types, target',
      'as before',
      'a used column that is gone or of another type, a missing target and a class without rows stop it',
    ),
    of(
      'approve',
      'approval',
      Array.isArray(approve) ? approve.join(', ') : approve === true ? 'anybody' : undefined,
      'who must say yes between registering and the gate; who started it by hand may not',
    ),
  ];
}
