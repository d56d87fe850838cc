import { unlessEmpty } from '../tracking/index.ts';
import type { WireModelVersion, WireRegisteredModel } from './contract.ts';
import type { ModelVersion, RegisteredModel } from './tables.ts';

/** Aliases are told of a version that was asked for, not where versions are listed. */
export function toWireVersion(
  version: ModelVersion,
  aliases: 'with aliases' | 'without aliases',
): WireModelVersion {
  return {
    name: version.name,
    version: String(version.version),
    creation_timestamp: version.creationTime,
    last_updated_timestamp: version.lastUpdatedTime,
    user_id: version.userId || undefined,
    current_stage: version.stage,
    description: version.description,
    source: version.source,
    run_id: version.runId,
    status: 'READY',
    tags: unlessEmpty(version.tags),
    run_link: version.runLink,
    aliases: aliases === 'with aliases' ? unlessEmpty(version.aliases) : undefined,
  };
}

export function toWireModel(model: RegisteredModel, latest: ModelVersion[]): WireRegisteredModel {
  return {
    name: model.name,
    creation_timestamp: model.creationTime,
    last_updated_timestamp: model.lastUpdatedTime,
    description: model.description || undefined,
    latest_versions: unlessEmpty(latest.map((version) => toWireVersion(version, 'without aliases'))),
    tags: unlessEmpty(model.tags),
    aliases: unlessEmpty(model.aliases.map(({ alias, version }) => ({ alias, version: String(version) }))),
  };
}
