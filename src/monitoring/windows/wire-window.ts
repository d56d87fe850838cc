import type { SegmentReport } from './test-segments.ts';
import type { MonitorWindow, ReportedTest, WindowPerformance } from './window-store.ts';

/** A window as it goes over the wire; its tests by weight, the heaviest first. */
export function toWireWindow(window: MonitorWindow, tests: 'all' | 'drifted' | 'none') {
  const shown = window.tests
    .filter(({ drifted }) => tests === 'all' || drifted)
    .toSorted((a, b) => (b.weight ?? b.psi) - (a.weight ?? a.psi));
  return {
    from: window.from,
    to: window.to,
    version: window.version,
    rows: window.rows,
    late_rows: window.lateRows,
    state: window.state,
    ...(window.note === undefined ? {} : { note: window.note }),
    closed_at: window.closedAt,
    ...(tests === 'none' ? {} : { tests: shown.map(toWireTest) }),
    ...(tests === 'none' || window.segments.length === 0
      ? {}
      : { segments: window.segments.map((segment) => toWireSegment(segment, tests)) }),
    ...(window.performance === undefined || window.performanceState === undefined
      ? {}
      : { performance: { state: window.performanceState, ...toWirePerformance(window.performance) } }),
  };
}

function toWireSegment(
  { testCount, referenceShare, tests, ...segment }: SegmentReport,
  wanted: 'all' | 'drifted',
) {
  return {
    ...segment,
    ...(referenceShare === undefined ? {} : { reference_share: referenceShare }),
    test_count: testCount,
    tests: tests.filter(({ drifted }) => wanted === 'all' || drifted),
  };
}

function toWireTest({ referenceRows, referenceRate, isWatched, ...test }: ReportedTest) {
  return {
    ...test,
    watched: isWatched,
    reference_rows: referenceRows,
    ...(referenceRate === undefined ? {} : { reference_rate: referenceRate }),
  };
}

function toWirePerformance(performance: WindowPerformance) {
  const { metric, value, skill, rows, labelled, p, note } = performance;
  const { referenceMean: mean, referenceSd: sd, referenceWindows: windows } = performance;
  return {
    metric,
    ...(value === undefined ? {} : { value }),
    ...(skill === undefined ? {} : { skill }),
    rows,
    labelled,
    ...(rows > 0 ? { coverage: labelled / rows } : {}),
    ...(p === undefined ? {} : { p }),
    ...(mean === undefined || sd === undefined || windows === undefined
      ? {}
      : { reference: { mean, sd, windows } }),
    ...(note === undefined ? {} : { note }),
  };
}
