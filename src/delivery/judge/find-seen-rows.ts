import { heldOutAlike, type Metadata, readProvenance, trainedUntil } from './training-provenance.ts';

/** Which of the evaluation's rows are new to both models, as far as their files tell. */
export interface UnseenRows {
  /** Places of the rows to compare on; undefined when all are. */
  keep?: number[];
  /** Why there is none left. */
  none?: string;
  /** Why the champion may know some of them; a challenger that wins all the same has won. */
  doubt?: string;
  notes: string[];
}

/**
 * Rows are new to a model when they are later than what it was trained on. The challenger's held-out rows are new to
 * it by their making; those that are not later than the champion's training rows are left out, unless both models
 * were trained on the same table, split alike.
 *
 * @param times ms of each row, NaN where unknown; undefined when the rows have no time
 */
export function findUnseenRows(
  challenger: Metadata,
  champion: Metadata,
  times: Float64Array | undefined,
): UnseenRows {
  const ours = readProvenance(challenger);
  const theirs = readProvenance(champion);
  const notes: string[] = [];
  const until = trainedUntil(ours);
  if (times && until !== undefined && times.some((time) => time < until)) {
    notes.push(
      `the rows are not all later than those that the version was trained on (until ${day(until)}): it may do worse on rows to come`,
    );
  }
  if (heldOutAlike(ours, theirs)) return { notes };
  const theirsUntil = trainedUntil(theirs);
  if (times === undefined || theirsUntil === undefined) {
    const doubt = findOtherSplit(challenger, champion);
    if (!doubt) notes.push('the files do not tell whether the champion has learned from these rows');
    return { notes, ...(doubt === undefined ? {} : { doubt }) };
  }
  const keep: number[] = [];
  for (const [row, time] of times.entries()) if (time >= theirsUntil) keep.push(row);
  if (keep.length === times.length) return { notes };
  const known = `the champion was trained on rows until ${day(theirsUntil)}`;
  if (keep.length === 0)
    return { notes, keep, none: `${known}, and none of the ${times.length} rows is later` };
  notes.push(`${times.length - keep.length} rows are left out: ${known}`);
  return { notes, keep };
}

/**
 * Why the champion has probably learned from the challenger's held-out rows, and how to train for a fair comparison:
 * both were trained on the same table, but split otherwise. Undefined when nothing says so.
 */
export function findOtherSplit(challenger: Metadata, champion: Metadata): string | undefined {
  const ours = readProvenance(challenger);
  const theirs = readProvenance(champion);
  const digest = ours.data?.digest;
  if (digest === undefined || digest !== theirs.data?.digest || !ours.split || !theirs.split)
    return undefined;
  if (heldOutAlike(ours, theirs)) return undefined;
  const { kind, testShare, seed } = theirs.split;
  return `the champion was trained on another split of the same table, so it has learned from some of these rows; a version trained with --split ${kind} --test-share ${testShare} --seed ${seed} can be compared`;
}

const day = (ms: number) => new Date(ms).toISOString().slice(0, 16).replace('T', ' ');
