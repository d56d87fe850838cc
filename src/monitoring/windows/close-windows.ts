import type { Clock, Database, Logger } from '../../platform/index.ts';
import { createProfile, decodeProfile, type Profile, type ProfileSpec } from '../../profiles/index.ts';
import { createChampionStore, type ModelVersion } from '../../registry/index.ts';
import { benjaminiHochberg } from '../../statistics/index.ts';
import type { Alarm, Span } from '../alarms/alarm.ts';
import { explainTest, weighTest } from '../drift/explain-tests.ts';
import { type LoadedReference, notesFor } from '../drift/read-reference.ts';
import { type ColumnTest, testWindow } from '../drift/test-window.ts';
import { closeWindow } from '../drift-commands.ts';
import { type MonitorPolicy, policyTimes, windowRule } from '../monitor-policy.ts';
import { type FoundWindow, findNextWindow, LEAST_ROWS } from './find-due-window.ts';
import { isPartial } from './find-partial.ts';
import { createProfileEntryStore } from './profile-entry-store.ts';
import { createSegmentEntryStore } from './segment-entry-store.ts';
import type { WatchedTest } from './sequence-store.ts';
import { type SegmentReport, segmentsOf, testSegments } from './test-segments.ts';
import { createWindowStore, type MonitorWindow, type NewWindow, type ReportedTest } from './window-store.ts';

const HOUR_MS = 3_600_000;
const FALSE_DISCOVERY_RATE = 0.05;
/** Tests with a larger p are kept without the bins that moved. */
const EXPLAINED_P = 0.05;

export interface CloseWindowDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  referenceOf: (version: ModelVersion) => Promise<LoadedReference | undefined>;
  importanceOf: (version: ModelVersion) => Promise<Record<string, number> | undefined>;
  /** Whether those who have answered until then have had the time to say so. */
  isReported: (until: number) => Promise<boolean>;
}

export interface ClosedWindow {
  window: MonitorWindow;
  opened: Alarm[];
  closed: Alarm[];
}

/**
 * Closes a model's next window if it is due: tests it and keeps it, with what it does to the alarms, in one
 * transaction.
 *
 * @returns the window, or from when on the next one can be due (undefined: not before another report)
 */
export async function closeNextWindow(
  deps: CloseWindowDeps,
  version: ModelVersion,
  policy: MonitorPolicy,
): Promise<{ done: ClosedWindow } | { dueAt: number | undefined }> {
  const { database, clock } = deps;
  const entries = createProfileEntryStore(database.reader);
  const windows = createWindowStore(database.reader);
  const model = version.name;
  const name = String(version.version);
  const after = await windows.closedUntil(model);
  const { everyMs } = policyTimes(policy);
  const byHour = await entries.answeredByHour(model, name, after);
  const found = findNextWindow(byHour, {
    after,
    everyMs,
    rows: policy.window.rows,
  });
  if (found === undefined) return { dueAt: undefined };
  const now = clock.now();
  if (now < found.closesAt || !(await deps.isReported(found.closesAt))) return { dueAt: found.closesAt };
  const inside = new Map([...byHour].filter(([hour]) => hour >= found.from && hour < found.to));
  const wasPartial =
    isPartial(inside, await entries.answeredByAll(model, found), everyMs) ||
    (after === undefined && (await beganWithin(deps, model, found)));
  const tested = await testFoundWindow(deps, version, policy, found, wasPartial);
  const window: NewWindow = {
    model,
    version: name,
    from: found.from,
    to: found.to,
    rows: found.rows,
    closedAt: now,
    windowRule: windowRule(policy),
    ...tested.report,
  };
  const outcome = await database.execute(closeWindow, {
    window,
    watched: { tests: tested.watched, testCount: tested.testCount, webhooks: policy.webhooks },
  });
  return {
    done: { window: { ...window, lateRows: 0 }, opened: outcome.opened, closed: outcome.closed },
  };
}

/** On its first day a model has no other versions by which it could be seen that it came in the afternoon. */
async function beganWithin(
  { database }: CloseWindowDeps,
  model: string,
  { from, to }: Span,
): Promise<boolean> {
  const began = (await createChampionStore(database.reader).history(model)).at(-1)?.at;
  return began !== undefined && began >= from + HOUR_MS && began < to;
}

interface TestedWindow {
  report: Pick<NewWindow, 'state' | 'note' | 'tests' | 'segments'>;
  watched: WatchedTest[];
  testCount: number;
}

async function testFoundWindow(
  deps: CloseWindowDeps,
  version: ModelVersion,
  policy: MonitorPolicy,
  found: FoundWindow,
  wasPartial: boolean,
): Promise<TestedWindow> {
  const untested = (state: NewWindow['state'], note?: string): TestedWindow => ({
    report: { state, tests: [], segments: [], ...(note === undefined ? {} : { note }) },
    watched: [],
    testCount: 0,
  });
  if (policy.drift === 'off') return untested('off');
  if (found.rows < LEAST_ROWS) {
    return untested('too small', `${found.rows} rows; a test needs ${LEAST_ROWS}`);
  }
  if (wasPartial) {
    const note = `Version ${version.version} answered another part of some hours than of others: it came or went in this window`;
    return untested('partial', note);
  }
  const reference = await deps.referenceOf(version);
  if (reference === undefined) {
    const note = `Version ${version.version} has no reference profile: it was not trained by Tidemill`;
    return untested('no reference', note);
  }
  const { profile, problems } = await sumProfiles(deps, version, reference.spec, found);
  if (profile.rows < LEAST_ROWS) {
    return untested('too small', [`${profile.rows} rows have a profile`, ...problems].join('; '));
  }
  const { prepared } = reference;
  const tests = testWindow(reference.spec, prepared, profile);
  const importance = await deps.importanceOf(version);
  const notes = [...problems, ...notesFor(reference, profile.rows)];
  const explained = tests.map((test) =>
    test.p <= EXPLAINED_P ? explainTest(prepared, profile, test, importance) : weighTest(test, importance),
  );
  const segments = await testSegments(
    {
      entries: createProfileEntryStore(deps.database.reader),
      segments: createSegmentEntryStore(deps.database.reader),
      logger: deps.logger,
    },
    { model: version.name, version: String(version.version), found, rows: profile.rows },
    reference,
    policy.segments,
  );
  return {
    report: {
      state: 'tested',
      segments,
      tests: reportTests(tests).map((test, index) => ({ ...test, ...explained[index] })),
      ...(notes.length === 0 ? {} : { note: notes.join('; ') }),
    },
    watched: tests.flatMap((test, index) => {
      if (!test.isWatched) return [];
      const said = notes.length === 0 ? {} : { notes };
      return [
        {
          column: test.column,
          aspect: test.aspect,
          p: test.p,
          evidence: { ...evidenceOfTest(test), ...explained[index], ...bySegment(test, segments), ...said },
        },
      ];
    }),
    testCount: prepared.tests,
  };
}

async function sumProfiles(
  { database, logger }: CloseWindowDeps,
  version: ModelVersion,
  spec: ProfileSpec,
  { from, to }: FoundWindow,
): Promise<{ profile: Profile; problems: string[] }> {
  const entries = createProfileEntryStore(database.reader);
  const sum = createProfile(spec);
  let unreadable = 0;
  let without = 0;
  for (const entry of await entries.list(version.name, String(version.version), from, to)) {
    if (entry.profile === undefined) {
      without += entry.answered;
      continue;
    }
    try {
      sum.merge(decodeProfile(spec, entry.profile));
    } catch (error) {
      unreadable += entry.answered;
      logger.warn({ err: error, model: version.name, version: version.version }, 'a profile cannot be read');
    }
  }
  const problems: string[] = [];
  if (without > 0) problems.push(`${without} rows came without a profile`);
  if (unreadable > 0) problems.push(`the profile of ${unreadable} rows does not fit the version's reference`);
  return { profile: sum, problems };
}

/** Marks the tests of a window that differ, so that of those marked one in twenty is by chance. */
export function reportTests(tests: ColumnTest[]): ReportedTest[] {
  const drifted = benjaminiHochberg(
    tests.map(({ p }) => p),
    FALSE_DISCOVERY_RATE,
  );
  return tests.map((test, index) => ({ ...test, drifted: drifted[index] ?? false }));
}

function bySegment(test: ColumnTest, segments: SegmentReport[]): { by_segment?: unknown } {
  const found = segmentsOf(test, segments);
  return found.length === 0 ? {} : { by_segment: found };
}

function evidenceOfTest(test: ColumnTest): Record<string, unknown> {
  const { p, psi, ks, rows, referenceRows, rate, referenceRate } = test;
  return {
    p,
    psi,
    ...(ks === undefined ? {} : { ks }),
    rows,
    reference_rows: referenceRows,
    ...(rate === undefined ? {} : { rate, reference_rate: referenceRate }),
  };
}
