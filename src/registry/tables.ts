import type { Kysely } from 'kysely';

/** The tables of this slice, as the stores see them. Times are milliseconds since the epoch. */
export interface RegistryTables {
  registered_models: {
    name: string;
    description: string;
    creation_time: number;
    last_updated_time: number;
    /** The number of the newest version ever made: numbers are never used again. */
    last_version: number;
  };
  registered_model_tags: { name: string; key: string; value: string };
  model_versions: {
    name: string;
    version: number;
    description: string;
    user_id: string;
    stage: string;
    source: string;
    run_id: string;
    run_link: string;
    creation_time: number;
    last_updated_time: number;
    servable: number;
    not_servable_reason: string | null;
    sha256: string | null;
    size_bytes: number | null;
    framework: string | null;
    task: string | null;
    heldout_sha256: string | null;
  };
  model_version_tags: { name: string; version: number; key: string; value: string };
  /** Versions that were made by a key, so that a step that runs again makes no second one. */
  model_version_keys: { name: string; idempotency_key: string; version: number };
  model_aliases: { name: string; alias: string; version: number };
  /** Every change of what serves. `below` points to the move that a rollback would go back to. */
  champion_moves: {
    revision: number;
    name: string;
    at: number;
    action: string;
    from_version: number | null;
    to_version: number | null;
    below: number | null;
    actor: string;
    reason: string | null;
    evidence: string | null;
    audit_sequence: number;
  };
  serving_revision: { only_row: number; revision: number };
}

export type RegistryDb = Kysely<RegistryTables>;

export const STAGES = ['None', 'Staging', 'Production', 'Archived'] as const;
export type Stage = (typeof STAGES)[number];

/** The alias whose version serves; where a model has none, its newest version in stage Production does. */
export const CHAMPION_ALIAS = 'champion';

/** What is known of the ONNX file of a version. */
export type ModelFile =
  | { servable: true; sha256: string; sizeBytes: number; framework?: string; task?: string }
  | { servable: false; reason: string; sha256?: string; sizeBytes?: number };

export interface ModelVersion {
  name: string;
  version: number;
  description: string;
  userId: string;
  stage: Stage;
  source: string;
  runId: string;
  runLink: string;
  creationTime: number;
  lastUpdatedTime: number;
  servable: boolean;
  notServableReason: string | undefined;
  sha256: string | undefined;
  sizeBytes: number | undefined;
  framework: string | undefined;
  task: string | undefined;
  heldoutSha256: string | undefined;
  aliases: string[];
  tags: { key: string; value: string }[];
}

export interface RegisteredModel {
  name: string;
  description: string;
  creationTime: number;
  lastUpdatedTime: number;
  aliases: { alias: string; version: number }[];
  tags: { key: string; value: string }[];
}

export interface Champion {
  version: number;
  by: 'alias' | 'stage';
}

export interface Move {
  revision: number;
  name: string;
  at: number;
  action: string;
  from: number | undefined;
  to: number | undefined;
  actor: string;
  reason: string | undefined;
  evidence: unknown;
  auditSequence: number;
}
