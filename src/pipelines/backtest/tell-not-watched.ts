import { REFERENCE_WINDOWS, WATCHED_WINDOWS } from '../../monitoring/index.ts';

/** What a replay lived through, and how much of it could raise an alarm. */
export interface SeenWindows {
  lived: number;
  /** A version came in the middle of them. */
  cut: number;
  /** Too few rows to be tested for drift. */
  small: number;
  /** The reference of the version that served has too few windows of its own. */
  withoutReference: number;
  /** Windows whose performance could be measured, and those of them that were compared with earlier ones. */
  labelled: number;
  compared: number;
}

export const seenNothing = (): SeenWindows => ({
  lived: 0,
  cut: 0,
  small: 0,
  withoutReference: 0,
  labelled: 0,
  compared: 0,
});

/** Why windows could raise no alarm; a platform says it of each window (`tidemill windows`). */
export function tellNotWatched(seen: SeenWindows): string[] {
  const { lived, cut, small, withoutReference, labelled, compared } = seen;
  const told: string[] = [];
  const drift = (windows: number, why: string) => {
    if (windows > 0) told.push(`no alarm of drift could come in ${windows} of ${lived} windows: ${why}`);
  };
  drift(
    withoutReference,
    `what the version that served learned from spans under ${WATCHED_WINDOWS} windows, too few to tell how much days differ`,
  );
  drift(small, 'they have too few rows');
  // A version that comes within a window is what every promotion brings; hardly anything else is worth a word.
  if (cut * 2 > lived) drift(cut, 'versions came within them');
  const learned = labelled - compared;
  if (labelled === 0)
    told.push('no alarm of performance could come: no window had labels that say how it did');
  else if (learned > 0)
    told.push(
      `no alarm of performance could come in ${learned} of ${labelled} labelled windows: those before them were under ${REFERENCE_WINDOWS}, and they became what later ones are compared with, bad ones as well`,
    );
  return told;
}
