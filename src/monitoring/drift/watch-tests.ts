import { advanceSequence, FRESH_SEQUENCE, isAlarm, type Sequence } from '../../statistics/index.ts';

/** Windows without news after which an alarm is over. */
export const QUIET_WINDOWS = 5;
/** A test whose p is above this has nothing to say. */
export const QUIET_P = 0.05;
/** How many windows of a data set pass between two false alarms, on average, at least. */
export const AVERAGE_RUN_LENGTH = 1000;

/** Where the sequence of one test stands. */
export interface WatchState extends Sequence {
  /** Quiet windows in a row since the alarm opened. */
  quiet: number;
  isOpen: boolean;
}

export const FRESH_WATCH: WatchState = { ...FRESH_SEQUENCE, quiet: 0, isOpen: false };

/**
 * Takes the next window's p into a test's sequence. Only this raises alarms: after one the sequence restarts, and the
 * alarm stays open until five quiet windows in a row, so that one cause is one alarm.
 *
 * @param tests all running tests of the data set: the threshold is `tests` times the average run length
 */
export function advanceWatch(
  state: WatchState,
  p: number,
  tests: number,
): { state: WatchState; event?: 'opened' | 'again' | 'closed'; logM: number } {
  const next = advanceSequence(state, p);
  const quiet = p > QUIET_P ? state.quiet + 1 : 0;
  if (isAlarm(next, tests, AVERAGE_RUN_LENGTH)) {
    return {
      state: { ...FRESH_WATCH, runs: next.runs, isOpen: true },
      event: state.isOpen ? 'again' : 'opened',
      logM: next.logM,
    };
  }
  if (state.isOpen && quiet >= QUIET_WINDOWS) {
    return { state: { ...next, quiet: 0, isOpen: false }, event: 'closed', logM: next.logM };
  }
  return { state: { ...next, quiet: state.isOpen ? quiet : 0, isOpen: state.isOpen }, logM: next.logM };
}
