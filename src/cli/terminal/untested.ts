import { formatTime, type Terminal } from './terminal.ts';

/** The newest windows in a row that were not tested for drift, as the control plane tells them. */
export interface Untested {
  windows: number;
  since: number;
  state: string;
}

const WHY: Record<string, string> = {
  partial:
    'versions came or went within each: promote less often than a window is long, or make monitor.window shorter',
  'too small': 'under 200 rows with a profile: make monitor.window longer',
  'no reference': 'it was not trained by Tidemill, and has no reference profile',
};

/** No alarm means nothing while nobody looks. */
export function noteUntested(
  terminal: Terminal,
  { model, windows, since, state }: Untested & { model: string },
): void {
  const why = WHY[state];
  terminal.note(
    `not watched: drift of ${model} has not been tested for ${windows} windows in a row, since ${formatTime(since)} (the newest is ${state}${why === undefined ? '' : `: ${why}`})`,
  );
}
