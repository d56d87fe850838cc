import type { DayEffects } from './simulations/draw-days.ts';
import { quantileOfDelays, watchDataSets } from './simulations/watch-data-sets.ts';

// How often the drift alarm is false, and how soon a shift is found, through the product's own profiles, tests and
// sequences: 20 columns (15 numeric, 5 categorical), score and class; windows of 500 rows, a reference of 40 windows.
// Prints one JSON line. `node benchmarks/false-alarms.ts 10` takes a tenth of the windows.
const part = Number(process.argv[2] ?? 1);
const dataSets = Math.ceil(100 / part);
const base = { dataSets, windows: 200, rowsPerWindow: 500, referenceWindows: 40 };

interface Scenario {
  effect: number;
  effects: DayEffects;
  /** Windows with an alarm in a thousand; no target for heavy tails, which are a stated limit. */
  target?: number;
}

const scenarios: Scenario[] = [
  { effect: 0, effects: 'normal', target: 1 },
  { effect: 0.05, effects: 'normal', target: 1 },
  { effect: 0.1, effects: 'normal', target: 3 },
  { effect: 0.2, effects: 'normal', target: 3 },
  { effect: 0.05, effects: 'heavy-tailed' },
  { effect: 0.1, effects: 'heavy-tailed' },
  { effect: 0.2, effects: 'heavy-tailed' },
];

const started = performance.now();
const falseAlarms = scenarios.map(({ effect, effects, target }, i) => {
  const { windows, tests, windowsWithAlarm, alarmsByAspect } = watchDataSets({
    ...base,
    effect,
    effects,
    seed: i + 1,
  });
  const perThousand = (1000 * windowsWithAlarm) / windows;
  return {
    day_effects: effect,
    distribution: effects,
    windows,
    tests,
    windows_with_alarm: windowsWithAlarm,
    per_1000: Number(perThousand.toFixed(2)),
    by_aspect: alarmsByAspect,
    ...(target === undefined ? {} : { target, met: perThousand <= target }),
  };
});

const detections = [
  { effect: 0, shift: 0.5, within: 2 },
  { effect: 0, shift: 0.3, within: 5 },
  { effect: 0.05, shift: 0.5, within: 3 },
  { effect: 0.05, shift: 0.3, within: 10 },
].map(({ effect, shift, within }, i) => {
  const { delays } = watchDataSets({ ...base, windows: 20, effect, effects: 'normal', seed: 101 + i, shift });
  const p95 = quantileOfDelays(delays, 0.95);
  return {
    day_effects: effect,
    shift,
    shifts: delays.length,
    median: quantileOfDelays(delays, 0.5),
    within_95_percent: p95,
    target: within,
    met: p95 <= within,
  };
});

const seconds = Number(((performance.now() - started) / 1000).toFixed(1));
const met = [...falseAlarms, ...detections].every((row) => !('met' in row) || row.met);
process.stdout.write(
  `${JSON.stringify({ benchmark: 'false-alarms', false_alarms: falseAlarms, detections, seconds, met })}\n`,
);
