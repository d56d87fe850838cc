import { expect, it } from 'vitest';
import { type ExpectedGain, estimateGain, type LabelledWindow, notWorthwhile } from './estimate-gain.ts';

const DAY = 86_400_000;
const baseline = { referenceMean: 0.8, referenceSd: 0.02, referenceWindows: 10 };

function day(index: number, skill: number | undefined, more: object = baseline): LabelledWindow {
  return {
    from: index * DAY,
    to: (index + 1) * DAY,
    performance: { metric: 'roc_auc', ...(skill !== undefined && { skill }), ...more },
  };
}
const known = (windows: LabelledWindow[], since?: number) => estimateGain(windows, since) as ExpectedGain;

it('is the shortfall against the baseline, with the t interval of two means', () => {
  const found = known([day(1, 0.7), day(2, 0.74)]);
  expect(found).toMatchObject({ metric: 'roc_auc', windows: 2, baseline: { mean: 0.8, windows: 10 } });
  expect(found.gain).toBeCloseTo(0.08, 10);
  // t of 9 degrees at 97.5 % is 2.262157.
  const half = 2.262157 * 0.02 * Math.sqrt(1 / 2 + 1 / 10);
  expect(found.low).toBeCloseTo(0.08 - half, 6);
  expect(found.high).toBeCloseTo(0.08 + half, 6);
});

it('counts the windows since the alarm, however many, and else the newest five', () => {
  const windows = [0.8, 0.8, 0.8, 0.7, 0.6, 0.6, 0.6].map((skill, index) => day(index, skill));
  expect(known(windows, 3 * DAY)).toMatchObject({ windows: 4, reached: 0.625 });
  expect(known(windows.toReversed())).toMatchObject({ windows: 5 });
  expect(known(windows).reached).toBeCloseTo(0.66, 10);
});

it('takes the baseline of the newest window that was tested', () => {
  expect(known([day(1, 0.7), day(2, 0.6, {})], DAY)).toMatchObject({ windows: 2, baseline: { mean: 0.8 } });
});

it('takes no notice of a window with too few labels', () => {
  const few = { ...day(3, 0.2, {}), performanceState: 'too few labels' };
  expect(known([day(1, 0.7), few])).toMatchObject({ windows: 1, reached: 0.7 });
});

it('expects no loss of a model that does better than its baseline', () => {
  const found = known([day(1, 0.9)]);
  expect(found.gain).toBe(0);
  expect(found.low).toBeLessThan(-0.1);
});

it('knows nothing without labels, before those of the alarm have come, and without a baseline', () => {
  expect(estimateGain([], undefined)).toEqual({
    unknown: 'no window of the version that serves has its labels yet',
  });
  expect(estimateGain([day(1, undefined), { from: 0, to: DAY }], 0)).toHaveProperty('unknown');
  expect(estimateGain([day(1, 0.8), day(2, 0.8)], 3 * DAY)).toEqual({
    unknown: 'no window since the alarm has its labels yet',
  });
  expect(estimateGain([day(1, 0.8, {})], 0)).toEqual({
    unknown: 'there is no baseline yet: too few labelled windows to compare with',
  });
});

it('holds back what is expected to win less than the project asks for, and nothing by default', () => {
  const small = estimateGain([day(1, 0.795)], 0);
  expect(notWorthwhile(small, 0)).toBeUndefined();
  expect(notWorthwhile(estimateGain([day(1, 0.9)], 0), 0)).toBeUndefined();
  expect(notWorthwhile(small, 0.01)).toMatch(
    /^not worth it: expected gain 0\.005 roc_auc \(95 %: -0\.0\d+ to 0\.0\d+\): 0\.795 in 1 labelled window, baseline 0\.8, and retrain\.minimumGain is 0\.01$/,
  );
  expect(notWorthwhile(estimateGain([day(1, 0.7)], 0), 0.01)).toBeUndefined();
  expect(notWorthwhile({ unknown: 'no labels' }, 1)).toBeUndefined();
});
