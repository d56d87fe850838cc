import type { Logger } from '../../platform/index.ts';
import { createProfile, decodeProfile, type Profile } from '../../profiles/index.ts';
import { adjustBenjaminiHochberg } from '../../statistics/index.ts';
import { explainTest } from '../drift/explain-tests.ts';
import type { PreparedReference } from '../drift/prepare-reference.ts';
import { prepareSegment } from '../drift/prepare-segment.ts';
import type { LoadedReference } from '../drift/read-reference.ts';
import { type ColumnTest, testWindow } from '../drift/test-window.ts';
import { type FoundWindow, LEAST_ROWS } from './find-due-window.ts';
import type { ProfileEntryStore } from './profile-entry-store.ts';
import type { SegmentEntryStore } from './segment-entry-store.ts';

/** Segments that a report has at most, the largest first, and the tests that are kept of each. */
export const MOST_SEGMENTS = 100;
const MOST_TESTS = 20;
const FALSE_DISCOVERY_RATE = 0.05;

/** One test within a segment, as the report keeps it. */
export interface SegmentTest {
  column: string;
  aspect: ColumnTest['aspect'];
  rows: number;
  psi: number;
  /** Adjusted by Benjamini and Hochberg over all segments of the window that were compared alike. */
  p: number;
  drifted: boolean;
  words?: string;
}

/** How the rows of one value of one column differ. It raises no alarm. */
export interface SegmentReport {
  column: string;
  value: string;
  rows: number;
  /** Of the window's rows, and of the reference's where it knows the segment. */
  share: number;
  referenceShare?: number;
  /** What its rows were compared with: the same segment of the reference, or all its rows where it has no such segment. */
  against: 'segment' | 'reference';
  /** So many tests were made; those kept are the ones that differ most. */
  testCount: number;
  tests: SegmentTest[];
}

interface Tested {
  report: Omit<SegmentReport, 'tests' | 'testCount'>;
  prepared: PreparedReference;
  profile: Profile;
  tests: ColumnTest[];
}

/**
 * Compares the rows of each value of the policy's columns with the same rows of the reference: a report, and evidence
 * for the alarms that all rows raise.
 *
 * @param columns those by which the policy tells rows apart
 */
export async function testSegments(
  deps: { entries: ProfileEntryStore; segments: SegmentEntryStore; logger: Logger },
  window: { model: string; version: string; found: FoundWindow; rows: number },
  reference: LoadedReference,
  columns: readonly string[],
): Promise<SegmentReport[]> {
  if (columns.length === 0) return [];
  const { model, version, found } = window;
  const tested: Tested[] = [];
  const reported = await deps.segments.largest(model, version, found, {
    least: LEAST_ROWS,
    most: MOST_SEGMENTS,
  });
  for (const segment of reported) {
    const named = splitSegment(segment, columns);
    if (named === undefined) continue;
    const profile = createProfile(reference.spec);
    try {
      for (const entry of await deps.entries.list(model, version, found.from, found.to, segment))
        if (entry.profile !== undefined) profile.merge(decodeProfile(reference.spec, entry.profile));
    } catch (error) {
      // The window's own test has said that profiles do not fit, or will.
      deps.logger.warn({ err: error, model, version, segment }, 'the profile of a segment cannot be read');
      continue;
    }
    if (profile.rows < LEAST_ROWS) continue;
    tested.push(testSegment(profile, named, { reference, rows: window.rows, segment }));
  }
  return ['segment', 'reference'].flatMap((against) =>
    reportTogether(tested.filter(({ report }) => report.against === against)),
  );
}

function testSegment(
  profile: Profile,
  named: { column: string; value: string },
  { reference, rows, segment }: { reference: LoadedReference; rows: number; segment: string },
): Tested {
  const known = reference.segments.get(segment);
  const prepared =
    known === undefined
      ? reference.prepared
      : prepareSegment(reference.prepared, decodeProfile(reference.spec, known.profile));
  return {
    report: {
      ...named,
      rows: profile.rows,
      share: profile.rows / rows,
      ...(known && { referenceShare: known.share }),
      against: known ? 'segment' : 'reference',
    },
    prepared,
    profile,
    // All rows of a segment have the same value of its own column.
    tests: testWindow(reference.spec, prepared, profile).filter(({ column }) => column !== named.column),
  };
}

function reportTogether(tested: readonly Tested[]): SegmentReport[] {
  const adjusted = adjustBenjaminiHochberg(tested.flatMap(({ tests }) => tests.map(({ p }) => p)));
  let next = 0;
  return tested.map(({ report, prepared, profile, tests }) => {
    const told = tests.map((test): SegmentTest => {
      const p = adjusted[next++]!;
      const drifted = p <= FALSE_DISCOVERY_RATE;
      return {
        column: test.column,
        aspect: test.aspect,
        rows: test.rows,
        psi: test.psi,
        p,
        drifted,
        ...(drifted && { words: explainTest(prepared, profile, test).words }),
      };
    });
    told.sort((a, b) => Number(b.drifted) - Number(a.drifted) || b.psi - a.psi);
    return { ...report, testCount: tests.length, tests: told.slice(0, MOST_TESTS) };
  });
}

/** `column=value`, where both may hold an equals sign: the longest column that the policy names. */
export function splitSegment(
  segment: string,
  columns: readonly string[],
): { column: string; value: string } | undefined {
  const column = columns
    .filter((each) => segment.startsWith(`${each}=`))
    .reduce<string | undefined>((a, b) => (a === undefined || b.length > a.length ? b : a), undefined);
  return column === undefined ? undefined : { column, value: segment.slice(column.length + 1) };
}

/** The segments in which a test of all rows differs most: where to look first. */
export function segmentsOf(
  { column, aspect }: { column: string; aspect: string },
  reports: readonly SegmentReport[],
): { segment: string; rows: number; psi: number; p: number }[] {
  return reports
    .filter(({ against }) => against === 'segment')
    .flatMap(({ tests, ...segment }) => {
      const test = tests.find((each) => each.drifted && each.column === column && each.aspect === aspect);
      if (test === undefined) return [];
      return [
        { segment: `${segment.column}=${segment.value}`, rows: segment.rows, psi: test.psi, p: test.p },
      ];
    })
    .sort((a, b) => b.psi - a.psi)
    .slice(0, 5);
}
