import {
  advanceWatch,
  FRESH_WATCH,
  type PreparedReference,
  prepareReference,
  testWindow,
  type WatchState,
} from '../../src/monitoring/index.ts';
import {
  type ColumnValues,
  createProfile,
  encodeProfile,
  type ProfileSpec,
  type Reference,
  specOf,
} from '../../src/profiles/index.ts';
import { createDays, type DayEffects } from './draw-days.ts';

export interface WatchOptions {
  /** Data sets, each with a reference of its own. */
  dataSets: number;
  /** Windows watched after each reference. */
  windows: number;
  rowsPerWindow: number;
  referenceWindows: number;
  effect: number;
  /** Of the reference's days, where it is other: a reference that does not know how days differ. */
  referenceEffect?: number;
  effects: DayEffects;
  seed: number;
  /** Then everything moves by this many standard deviations, and the windows until each numeric column alarms are counted. */
  shift?: number;
}

export interface WatchResult {
  windows: number;
  /** Running tests of a data set. */
  tests: number;
  /** Windows in which the data set raised an alarm that was not yet open. */
  windowsWithAlarm: number;
  alarmsByAspect: Record<string, number>;
  /** Windows from the shift to the alarm, for each numeric column of each data set; Infinity where none came. */
  delays: number[];
}

const LONGEST_DELAY = 60;

/** Watches data sets in which nothing changes but the days, by the product's own profiles, tests and sequences. */
export function watchDataSets(options: WatchOptions): WatchResult {
  const result: WatchResult = { windows: 0, tests: 0, windowsWithAlarm: 0, alarmsByAspect: {}, delays: [] };
  for (let dataSet = 0; dataSet < options.dataSets; dataSet++) {
    const days = createDays({ ...options, seed: options.seed * 100_003 + dataSet });
    const { referenceEffect: effect = options.effect } = options;
    const reference = createDays({ ...options, effect, seed: -1 - options.seed * 100_003 - dataSet });
    const { spec, prepared } = takeReference(reference, options);
    const watch = createWatch(spec, prepared);
    result.tests = prepared.tests;
    for (let window = 0; window < options.windows; window++) {
      const opened = watch(days.drawDay(options.rowsPerWindow), options.rowsPerWindow);
      result.windows++;
      if (opened.length > 0) result.windowsWithAlarm++;
      for (const { aspect } of opened) {
        result.alarmsByAspect[aspect] = (result.alarmsByAspect[aspect] ?? 0) + 1;
      }
    }
    if (options.shift !== undefined) result.delays.push(...measureDelays(days, watch, options));
  }
  return result;
}

type Days = ReturnType<typeof createDays>;

/** Bins from all rows of the reference, counts window by window, as training writes them. */
function takeReference(
  days: Days,
  { referenceWindows, rowsPerWindow }: WatchOptions,
): { spec: ProfileSpec; prepared: PreparedReference } {
  const drawn = Array.from({ length: referenceWindows }, () => days.drawDay(rowsPerWindow));
  const rows = referenceWindows * rowsPerWindow;
  const spec = specOf(
    days.columns.map(({ name }, i) => ({
      name,
      values: joined(
        drawn.map((day) => day[i]!),
        rowsPerWindow,
      ),
    })),
    rows,
  );
  const windows: Reference['windows'] = drawn.map((values) => {
    const profile = createProfile(spec);
    profile.add(rowsPerWindow, values);
    return { from: 0, to: 0, rows: rowsPerWindow, profile: encodeProfile(profile) };
  });
  return { spec, prepared: prepareReference({ spec, windows }) };
}

function joined(parts: ColumnValues[], rows: number): ColumnValues {
  const [first] = parts;
  if (first === undefined) throw new Error('a reference needs windows');
  const place = { stride: 1, offset: 0 };
  if ('numbers' in first) {
    const numbers = new Float32Array(parts.length * rows);
    for (const [i, part] of parts.entries()) if ('numbers' in part) numbers.set(part.numbers, i * rows);
    return { numbers, ...place };
  }
  if (!('codes' in first)) throw new Error('texts are not drawn');
  const codes = new Int32Array(parts.length * rows);
  for (const [i, part] of parts.entries()) if ('codes' in part) codes.set(part.codes, i * rows);
  return { codes, labels: first.labels, ...place };
}

interface Opened {
  column: string;
  aspect: string;
}

/** The sequences of one data set; answers with the alarms that a window opens. */
function createWatch(spec: ProfileSpec, prepared: PreparedReference) {
  const states = new Map<string, WatchState>();
  return (values: ColumnValues[], rows: number): Opened[] => {
    const profile = createProfile(spec);
    profile.add(rows, values);
    const opened: Opened[] = [];
    for (const { column, aspect, p } of testWindow(spec, prepared, profile)) {
      const key = `${aspect} of ${column}`;
      const { state, event } = advanceWatch(states.get(key) ?? FRESH_WATCH, p, prepared.tests);
      states.set(key, state);
      if (event === 'opened') opened.push({ column, aspect });
    }
    return opened;
  };
}

/** Columns are tested apart, so all of them are shifted at once, and each is a measurement of its own. */
function measureDelays(
  days: Days,
  watch: ReturnType<typeof createWatch>,
  { rowsPerWindow, shift }: WatchOptions,
): number[] {
  const names = days.columns.filter(({ kind, name }) => kind === 'numeric' && !name.startsWith('@'));
  const delays = new Map(names.map(({ name }) => [name, Number.POSITIVE_INFINITY]));
  for (let window = 1; window <= LONGEST_DELAY; window++) {
    for (const { column, aspect } of watch(days.drawDay(rowsPerWindow, shift), rowsPerWindow)) {
      if (aspect === 'values' && delays.get(column) === Number.POSITIVE_INFINITY) delays.set(column, window);
    }
    if ([...delays.values()].every(Number.isFinite)) break;
  }
  return [...delays.values()];
}

/** The smallest number of windows within which the given share of the shifts was found. */
export function quantileOfDelays(delays: readonly number[], share: number): number {
  const sorted = [...delays].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}
