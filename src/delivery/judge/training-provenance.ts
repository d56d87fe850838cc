import { TRAINING_KEY } from '../../models/index.ts';
import { canonicalJson } from '../../platform/index.ts';

export type Metadata = Readonly<Record<string, string>>;

/** What `training/` writes into a model file of its own making; other makers' files have none of it. */
export interface Provenance {
  code_version?: string;
  algorithm?: string;
  parameters?: Record<string, unknown>;
  seed?: number;
  environment?: Record<string, unknown>;
  data?: { digest?: string; time?: { from?: number; to?: number } };
  split?: { kind?: string; testShare?: number; seed?: number };
}

export function readProvenance(metadata: Metadata): Provenance {
  try {
    return (JSON.parse(metadata[TRAINING_KEY] ?? '{}') ?? {}) as Provenance;
  } catch {
    return {};
  }
}

/** The end of the rows that a model has learned from, ms, half-open. */
export const trainedUntil = ({ data }: Provenance): number | undefined =>
  typeof data?.time?.to === 'number' ? data.time.to : undefined;

/** Both were trained on the same table, split alike: what one has not seen, the other has not. */
export const heldOutAlike = (one: Provenance, other: Provenance): boolean =>
  one.data?.digest !== undefined &&
  one.data.digest === other.data?.digest &&
  one.split !== undefined &&
  canonicalJson(one.split) === canonicalJson(other.split ?? null);
