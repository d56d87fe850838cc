import { expect, it } from 'vitest';
import { checkProject } from '../index.ts';

const data = { format: 'csv', path: 'rows.csv', target: 'y' };

function problemsOf(model: object): string[] {
  return linesOf({ models: { churn: { data, ...model } } });
}

function linesOf(project: unknown): string[] {
  try {
    checkProject(project, 'FILE');
  } catch (error) {
    expect((error as Error).name).toBe('ConfigError');
    return (error as Error).message.split('\n');
  }
  return [];
}

it('fills in defaults', () => {
  const project = checkProject({ models: { churn: { data, retrain: {} } } }, 'FILE');
  expect(project.models['churn']).toMatchObject({
    train: { algorithm: 'gradient-boosting' },
    retrain: { timeZone: 'UTC', cooldown: '6h', on: [], newRows: 1000 },
  });
});

it('refuses an unknown key by its full path, with the nearest name', () => {
  expect(problemsOf({ retrain: { schedul: '0 3 * * 1' } })).toEqual([
    expect.stringMatching(/^FILE: models\.churn\.retrain\.schedul is not known; did you mean 'schedule'\?/),
  ]);
  expect(problemsOf({ data: { ...data, targett: 'z' } })[0]).toMatch(
    /models\.churn\.data\.targett is not known; did you mean 'target'\?/,
  );
  expect(problemsOf({ train: { algorithm: 'linear', trees: 3 } })[0]).toMatch(
    /models\.churn\.train\.trees is not known; here may be 'algorithm', /,
  );
  expect(linesOf({ model: {}, models: { a: { data } } })[0]).toMatch(
    /^FILE: model is not known; did you mean 'models'\?/,
  );
});

it('refuses what is known and not built by its name, once', () => {
  expect(problemsOf({ tune: { trials: 20 } })).toEqual([
    'FILE: models.churn.tune is not built yet: tuning comes with a later version',
  ]);
  expect(problemsOf({ train: { command: ['python', 'train.py'] } })).toEqual([
    'FILE: models.churn.train.command is not built yet: training by a command of your own comes with a later version',
  ]);
});

it('names path, value and what would be right', () => {
  expect(problemsOf({ retrain: { cooldown: '6 hours' } })).toEqual([
    "FILE: models.churn.retrain.cooldown is \"6 hours\": it must be a number and its unit, such as '30s', '10m', '12h', '7d' or '4w'",
  ]);
  expect(problemsOf({ retrain: { timeZone: 'Berlin' } })[0]).toMatch(
    /timeZone is "Berlin": it must be a time zone/,
  );
  expect(problemsOf({ retrain: { on: ['drift', 'rain'] } })[0]).toMatch(
    /models\.churn\.retrain\.on\[1\] is "rain": /,
  );
  expect(problemsOf({ train: { algorithm: 'gradient-boosting', trees: 0 } })).toEqual([
    expect.stringMatching(
      /models\.churn\.train is .*: Parameter 'trees' of gradient-boosting is 0: it must be/,
    ),
  ]);
  expect(problemsOf({ data: { path: 'rows.csv' } })[0]).toMatch(
    /models\.churn\.data\.target is missing: it must be what to predict/,
  );
  expect(problemsOf({ approve: [''] })).toEqual([
    'FILE: models.churn.approve[0] is "": it must not be empty',
  ]);
  expect(problemsOf({ approve: 'ann' })[0]).toMatch(/models\.churn\.approve is "ann": it must be true/);
  expect(linesOf({ models: {} })[0]).toMatch(/models is \{\}: it must be an object with at least one model/);
  expect(linesOf('hello')[0]).toMatch(/^FILE: the project is "hello": /);
  expect(linesOf({ models: { 'a/b': { data } } })[0]).toMatch(/models\.a\/b is no name of a model/);
});

it('tells everything that is wrong at once', () => {
  expect(problemsOf({ retrain: { cooldown: 'x', newRows: 0 }, tune: {} })).toHaveLength(3);
});

it('refuses a window where nothing says when a row happened', () => {
  expect(problemsOf({ retrain: { window: '28d' } })[0]).toMatch(
    /retrain\.window is "28d", but nothing says when a row happened: name that column in models\.churn\.data\.time/,
  );
});

it('refuses a window that holds no rows', () => {
  expect(problemsOf({ data: { ...data, time: 'day' }, retrain: { window: '0s' } })).toEqual([
    expect.stringMatching(/retrain\.window is "0s", which holds no rows: it must be longer/),
  ]);
});

it('says in plain words what a value must be', () => {
  expect(problemsOf({ gate: { metric: 'logloss' } })[0]).toMatch(
    /gate\.metric is "logloss": it must be one of 'log_loss', 'brier', .*; did you mean 'log_loss'\?/,
  );
  expect(problemsOf({ train: { algorithm: 'gradient-bosting' } })).toEqual([
    `FILE: models.churn.train.algorithm is "gradient-bosting": it must be one of 'gradient-boosting', 'linear'; did you mean 'gradient-boosting'?`,
  ]);
  expect(problemsOf({ data: { ...data, format: 'cvs' } })[0]).toMatch(/did you mean 'csv'\?/);
  expect(problemsOf({ retrain: { on: ['drfit'] } })[0]).toMatch(
    /it must be one of .*; did you mean 'drift'\?/,
  );
  expect(problemsOf({ monitor: 5 })[0]).toMatch(/monitor is 5: it must be an object/);
  expect(problemsOf({ gate: { alpha: 3 } })[0]).toMatch(/gate\.alpha is 3: it must be at most 0\.5 \(/);
  expect(linesOf(null)[0]).toMatch(/^FILE: the project is empty: it must be an object such as/);
});
