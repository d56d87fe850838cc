import {
  createRunStore,
  decodePageToken,
  encodePageToken,
  type MlflowRoute,
  mlflowRoute,
  unlessEmpty,
} from '../tracking/index.ts';
import { checkDescription, checkRegistryTag, readStage, readVersion } from './check-names.ts';
import {
  createModelVersion,
  deleteModelVersion,
  deleteModelVersionTag,
  describeModelVersion,
  setModelVersionTag,
  transitionStage,
} from './commands.ts';
import * as contract from './contract.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import type { RegistryDeps } from './registry-routes.ts';
import { resolveSource } from './resolve-source.ts';
import { searchModelVersions } from './search-registry.ts';
import { toWireVersion } from './wire-format.ts';

export function modelVersionRoutes({ database, clock, moved, files }: RegistryDeps): MlflowRoute[] {
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const runs = createRunStore(database.reader);

  const artifactUriOf = async (runId: string) => (await runs.find(runId))?.artifactUri;
  const resolve = (source: string) =>
    resolveSource(source, {
      findVersion: (name, version) => versions.find(name, version),
      findAlias: (name, alias) => models.findAlias(name, alias),
      findArtifactUri: artifactUriOf,
    });

  async function readModelVersion(name: string, version: number) {
    return { model_version: toWireVersion(await versions.get(name, version), 'with aliases') };
  }

  return [
    mlflowRoute({
      method: 'POST',
      path: '/model-versions/create',
      summary: 'Register a version of a model',
      request: contract.createVersionRequest,
      response: contract.modelVersionResponse,
      async handle(input) {
        checkDescription(input.description);
        for (const tag of input.tags) checkRegistryTag(tag);
        await models.get(input.name);
        const location = await resolve(input.source);
        const artifactUri = input.run_id ? await artifactUriOf(input.run_id) : undefined;
        const version = await database.execute(createModelVersion, {
          name: input.name,
          description: input.description,
          userId: input.user_id,
          source: input.source,
          runId: input.run_id,
          runLink: input.run_link,
          tags: input.tags,
          file: await files.inspect(location),
          heldoutSha256: artifactUri === undefined ? undefined : await files.keepHeldOut(artifactUri),
          now: clock.now(),
        });
        return readModelVersion(input.name, version);
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/model-versions/get',
      summary: 'Get a version of a model',
      request: contract.versionRequest,
      response: contract.modelVersionResponse,
      handle: ({ name, version }) => readModelVersion(name, readVersion(version)),
    }),
    mlflowRoute({
      method: 'GET',
      path: '/model-versions/search',
      summary: 'Search model versions',
      request: contract.searchRequest({ standard: 200_000, cap: 200_000 }),
      response: contract.searchVersionsResponse,
      async handle(input) {
        const offset = decodePageToken(input.page_token);
        const found = await searchModelVersions(database.reader, database.dialect, {
          filter: input.filter,
          orderBy: input.order_by,
          limit: input.max_results,
          offset,
        });
        return {
          model_versions: unlessEmpty(found.versions.map((each) => toWireVersion(each, 'without aliases'))),
          next_page_token: found.hasMore ? encodePageToken(offset + input.max_results) : undefined,
        };
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/model-versions/get-download-uri',
      summary: "Get where a version's files lie",
      request: contract.versionRequest,
      response: contract.downloadUriResponse,
      async handle({ name, version }) {
        const { source } = await versions.get(name, readVersion(version));
        return { artifact_uri: await resolve(source) };
      },
    }),
    mlflowRoute({
      method: 'PATCH',
      path: '/model-versions/update',
      summary: "Set a version's description",
      request: contract.updateVersionRequest,
      response: contract.modelVersionResponse,
      async handle({ name, description, ...input }) {
        checkDescription(description);
        const version = readVersion(input.version);
        await database.execute(describeModelVersion, { name, version, description, now: clock.now() });
        return readModelVersion(name, version);
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/model-versions/transition-stage',
      summary: 'Move a version to a stage; Production serves where no alias champion is set',
      request: contract.transitionStageRequest,
      response: contract.modelVersionResponse,
      async handle({ name, reason, ...input }, { actor }) {
        const version = readVersion(input.version);
        const stage = readStage(input.stage);
        const isActive = stage === 'Staging' || stage === 'Production';
        await database.execute(transitionStage, {
          name,
          version,
          stage,
          archiveExisting: input.archive_existing_versions && isActive,
          cause: { action: 'stage', actor, reason, at: clock.now() },
        });
        moved.notify();
        return { model_version: toWireVersion(await versions.get(name, version), 'without aliases') };
      },
    }),
    mlflowRoute({
      method: 'DELETE',
      path: '/model-versions/delete',
      summary: 'Delete a version and its aliases',
      request: contract.deleteVersionRequest,
      response: contract.emptyResponse,
      async handle({ name, version, reason }, { actor }) {
        const cause = { action: 'delete-version', actor, reason, at: clock.now() };
        await database.execute(deleteModelVersion, { name, version: readVersion(version), cause });
        moved.notify();
        return {};
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/model-versions/set-tag',
      summary: 'Set a tag of a version',
      request: contract.versionTagRequest,
      response: contract.emptyResponse,
      async handle({ name, version, key, value }) {
        checkRegistryTag({ key, value });
        await database.execute(setModelVersionTag, {
          name,
          version: readVersion(version),
          tag: { key, value },
        });
        return {};
      },
    }),
    mlflowRoute({
      method: 'DELETE',
      path: '/model-versions/delete-tag',
      summary: 'Delete a tag of a version',
      request: contract.versionTagKeyRequest,
      response: contract.emptyResponse,
      async handle({ name, version, key }) {
        await database.execute(deleteModelVersionTag, { name, version: readVersion(version), key });
        return {};
      },
    }),
  ];
}
