import { TRAINING_KEY } from '../models/index.ts';
import { canonicalJson } from '../platform/index.ts';

type Metadata = Readonly<Record<string, string>>;

/** What `training/` writes into a model file of its own making; other makers' files have none of it. */
interface Provenance {
  data?: { digest?: string };
  split?: { kind?: string; testShare?: number; seed?: number };
}

/**
 * Why the champion has probably learned from the challenger's held-out rows, and how to train for a fair comparison:
 * both were trained on the same table, but split otherwise. Undefined when nothing says so.
 */
export function findSeenRows(challenger: Metadata, champion: Metadata): string | undefined {
  const ours = readProvenance(challenger);
  const theirs = readProvenance(champion);
  const digest = ours.data?.digest;
  if (digest === undefined || digest !== theirs.data?.digest || !ours.split || !theirs.split)
    return undefined;
  if (canonicalJson(ours.split) === canonicalJson(theirs.split)) return undefined;
  const { kind, testShare, seed } = theirs.split;
  return `the champion was trained on another split of the same table, so it has learned from some of these rows; a version trained with --split ${kind} --test-share ${testShare} --seed ${seed} can be compared`;
}

function readProvenance(metadata: Metadata): Provenance {
  try {
    return (JSON.parse(metadata[TRAINING_KEY] ?? '{}') ?? {}) as Provenance;
  } catch {
    return {};
  }
}
