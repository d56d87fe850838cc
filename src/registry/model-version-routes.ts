import {
  type MlflowRoute,
  mlflowRoute,
  nextPageToken,
  readSearchPage,
  unlessEmpty,
} from '../tracking/index.ts';
import { createChampionStore } from './champion-store.ts';
import { checkDescription, checkRegistryTag, readStage, readVersion } from './check-names.ts';
import {
  deleteModelVersion,
  deleteModelVersionTag,
  describeModelVersion,
  setModelVersionTag,
  transitionStage,
} from './commands.ts';
import * as contract from './contract.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createVersionRegistrar } from './register-version.ts';
import type { RegistryDeps } from './registry-deps.ts';
import { searchModelVersions } from './search-registry.ts';
import type { Stage } from './tables.ts';
import { toWireVersion } from './wire-format.ts';

export function modelVersionRoutes({
  database,
  clock,
  moved,
  files,
  guardChampionMove,
}: RegistryDeps): MlflowRoute[] {
  const versions = createModelVersionStore(database.reader);
  const registrar = createVersionRegistrar({ database, clock, files });

  async function readModelVersion(name: string, version: number) {
    return { model_version: toWireVersion(await versions.get(name, version), 'with aliases') };
  }

  /** Stages decide what serves only where no alias does. */
  async function movesChampion(name: string, version: number, stage: Stage): Promise<boolean> {
    const current = await createChampionStore(database.reader).find(name);
    if (current?.by === 'alias') return false;
    return stage === 'Production' || current?.version === version;
  }

  return [
    mlflowRoute({
      method: 'POST',
      path: '/model-versions/create',
      summary: 'Register a version of a model',
      request: contract.createVersionRequest,
      response: contract.modelVersionResponse,
      async handle(input) {
        const version = await registrar.register({
          name: input.name,
          source: input.source,
          runId: input.run_id,
          runLink: input.run_link,
          userId: input.user_id,
          description: input.description,
          tags: input.tags,
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
        const page = readSearchPage(input);
        const found = await searchModelVersions(database.reader, database.dialect, page);
        return {
          model_versions: unlessEmpty(found.versions.map((each) => toWireVersion(each, 'without aliases'))),
          next_page_token: nextPageToken(page, found.hasMore),
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
        return { artifact_uri: await registrar.resolve(source) };
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
        if (await movesChampion(name, version, stage)) await guardChampionMove?.(name, version);
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
      async handle({ name, reason, ...input }, { actor }) {
        const version = readVersion(input.version);
        const current = await createChampionStore(database.reader).find(name);
        if (current?.version === version) await guardChampionMove?.(name, version, 'delete');
        const cause = { action: 'delete-version', actor, reason, at: clock.now() };
        await database.execute(deleteModelVersion, { name, version, cause });
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
