import { ApiError } from '../platform/index.ts';
import {
  type MlflowRoute,
  mlflowRoute,
  nextPageToken,
  readSearchPage,
  unlessEmpty,
} from '../tracking/index.ts';
import { createChampionStore } from './champion-store.ts';
import {
  checkAlias,
  checkDescription,
  checkModelName,
  checkRegistryTag,
  readStage,
  readVersion,
} from './check-names.ts';
import {
  createRegisteredModel,
  deleteModelAlias,
  deleteRegisteredModel,
  deleteRegisteredModelTag,
  describeRegisteredModel,
  renameRegisteredModel,
  setModelAlias,
  setRegisteredModelTag,
} from './commands.ts';
import * as contract from './contract.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import type { RegistryDeps } from './registry-deps.ts';
import { searchRegisteredModels } from './search-registry.ts';
import { CHAMPION_ALIAS } from './tables.ts';
import { toWireModel, toWireVersion } from './wire-format.ts';

export function registeredModelRoutes({
  database,
  clock,
  moved,
  guardChampionMove,
}: RegistryDeps): MlflowRoute[] {
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);

  async function readModel(name: string) {
    const model = await models.get(name);
    return { registered_model: toWireModel(model, await versions.latestByStage([name])) };
  }

  return [
    mlflowRoute({
      method: 'POST',
      path: '/registered-models/create',
      summary: 'Create a registered model',
      request: contract.createModelRequest,
      response: contract.registeredModelResponse,
      async handle({ name, description, tags }) {
        checkModelName(name);
        checkDescription(description);
        for (const tag of tags) checkRegistryTag(tag);
        await database.execute(createRegisteredModel, { name, description, tags, now: clock.now() });
        return readModel(name);
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/registered-models/get',
      summary: 'Get a registered model',
      request: contract.modelNameRequest,
      response: contract.registeredModelResponse,
      handle: ({ name }) => readModel(name),
    }),
    mlflowRoute({
      method: 'GET',
      path: '/registered-models/search',
      summary: 'Search registered models',
      request: contract.searchRequest({ standard: 100, cap: 1000 }),
      response: contract.searchModelsResponse,
      async handle(input) {
        const page = readSearchPage(input);
        const found = await searchRegisteredModels(database.reader, database.dialect, page);
        const latest = await versions.latestByStage(found.models.map(({ name }) => name));
        return {
          registered_models: unlessEmpty(
            found.models.map((model) =>
              toWireModel(
                model,
                latest.filter(({ name }) => name === model.name),
              ),
            ),
          ),
          next_page_token: nextPageToken(page, found.hasMore),
        };
      },
    }),
    mlflowRoute({
      method: 'PATCH',
      path: '/registered-models/update',
      summary: "Set a registered model's description",
      request: contract.updateModelRequest,
      response: contract.registeredModelResponse,
      async handle({ name, description }) {
        checkDescription(description);
        await database.execute(describeRegisteredModel, { name, description, now: clock.now() });
        return readModel(name);
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/registered-models/rename',
      summary: 'Rename a registered model',
      request: contract.renameModelRequest,
      response: contract.registeredModelResponse,
      async handle({ name, new_name: newName, reason }, { actor }) {
        checkModelName(newName);
        for (const each of [name, newName]) await guardChampionMove?.(each, undefined, 'rename');
        const cause = { action: 'rename', actor, reason, at: clock.now() };
        await database.execute(renameRegisteredModel, { name, newName, cause });
        moved.notify();
        return readModel(newName);
      },
    }),
    mlflowRoute({
      method: 'DELETE',
      path: '/registered-models/delete',
      summary: 'Delete a registered model and its versions',
      request: contract.deleteModelRequest,
      response: contract.emptyResponse,
      async handle({ name, reason }, { actor }) {
        const current = await createChampionStore(database.reader).find(name);
        if (current) await guardChampionMove?.(name, undefined, 'delete');
        const cause = { action: 'delete-model', actor, reason, at: clock.now() };
        await database.execute(deleteRegisteredModel, { name, cause });
        moved.notify();
        return {};
      },
    }),
    ...(['GET', 'POST'] as const).map((method) =>
      mlflowRoute({
        method,
        path: '/registered-models/get-latest-versions',
        summary: 'Get the newest version of each stage',
        request: contract.latestVersionsRequest,
        response: contract.latestVersionsResponse,
        async handle({ name, stages }) {
          await models.get(name);
          const wanted = stages.length > 0 ? stages.map(readStage) : undefined;
          const latest = await versions.latestByStage([name], wanted);
          return { model_versions: unlessEmpty(latest.map((each) => toWireVersion(each, 'with aliases'))) };
        },
      }),
    ),
    mlflowRoute({
      method: 'POST',
      path: '/registered-models/set-tag',
      summary: 'Set a tag of a registered model',
      request: contract.modelTagRequest,
      response: contract.emptyResponse,
      async handle({ name, key, value }) {
        checkRegistryTag({ key, value });
        await database.execute(setRegisteredModelTag, { name, tag: { key, value } });
        return {};
      },
    }),
    mlflowRoute({
      method: 'DELETE',
      path: '/registered-models/delete-tag',
      summary: 'Delete a tag of a registered model',
      request: contract.modelTagKeyRequest,
      response: contract.emptyResponse,
      async handle({ name, key }) {
        await database.execute(deleteRegisteredModelTag, { name, key });
        return {};
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/registered-models/alias',
      summary: 'Point an alias at a version; the alias champion is what serves',
      request: contract.setAliasRequest,
      response: contract.emptyResponse,
      async handle({ name, alias, version, reason }, { actor }) {
        checkAlias(alias);
        if (alias === CHAMPION_ALIAS) await guardChampionMove?.(name, readVersion(version));
        await database.execute(setModelAlias, {
          name,
          alias,
          version: readVersion(version),
          cause: { action: 'alias', actor, reason, at: clock.now() },
        });
        moved.notify();
        return {};
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/registered-models/alias',
      summary: 'Get the version that an alias points at',
      request: contract.aliasRequest,
      response: contract.modelVersionResponse,
      async handle({ name, alias }) {
        await models.get(name);
        const version = await models.findAlias(name, alias);
        if (version === undefined) {
          throw new ApiError('INVALID_PARAMETER_VALUE', `Registered model alias ${alias} not found.`);
        }
        return { model_version: toWireVersion(await versions.get(name, version), 'with aliases') };
      },
    }),
    mlflowRoute({
      method: 'DELETE',
      path: '/registered-models/alias',
      summary: 'Delete an alias',
      request: contract.deleteAliasRequest,
      response: contract.emptyResponse,
      async handle({ name, alias, reason }, { actor }) {
        if (alias === CHAMPION_ALIAS) await guardChampionMove?.(name);
        const cause = { action: 'delete-alias', actor, reason, at: clock.now() };
        await database.execute(deleteModelAlias, { name, alias, cause });
        moved.notify();
        return {};
      },
    }),
  ];
}
