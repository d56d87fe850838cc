import { ApiError, type Clock, type Database } from '../platform/index.ts';
import { checkKey, MAX_EXPERIMENT_NAME_LENGTH, MAX_TAG_VALUE_LENGTH } from './check-logged-values.ts';
import {
  createExperiment,
  deleteExperimentTag,
  renameExperiment,
  setExperimentStage,
  setExperimentTag,
} from './commands.ts';
import * as contract from './contract.ts';
import { createExperimentStore } from './experiment-store.ts';
import { type MlflowRoute, mlflowRoute } from './mlflow-protocol.ts';
import { nextPageToken, readSearchPage } from './page-token.ts';
import { searchExperiments } from './search-experiments.ts';
import type { LifecycleStage } from './tables.ts';
import { readExperimentId, toWireExperiment, unlessEmpty } from './wire-format.ts';

export const STAGES_BY_VIEW: Record<'ACTIVE_ONLY' | 'DELETED_ONLY' | 'ALL', LifecycleStage[]> = {
  ACTIVE_ONLY: ['active'],
  DELETED_ONLY: ['deleted'],
  ALL: ['active', 'deleted'],
};

export function experimentRoutes({ database, clock }: { database: Database; clock: Clock }): MlflowRoute[] {
  const experiments = createExperimentStore(database.reader);

  const search = async (input: typeof contract.searchExperimentsRequest._output) => {
    const page = readSearchPage(input);
    const found = await searchExperiments(database.reader, database.dialect, {
      stages: STAGES_BY_VIEW[input.view_type],
      ...page,
    });
    return {
      experiments: unlessEmpty(found.experiments.map(toWireExperiment)),
      next_page_token: nextPageToken(page, found.hasMore),
    };
  };

  return [
    mlflowRoute({
      method: 'POST',
      path: '/experiments/create',
      summary: 'Create an experiment',
      request: contract.createExperimentRequest,
      response: contract.createExperimentResponse,
      async handle({ name, artifact_location: artifactLocation, tags }) {
        checkExperimentName(name);
        checkArtifactLocation(artifactLocation);
        for (const tag of tags) checkExperimentTag(tag.key);
        const id = await database.execute(createExperiment, {
          name,
          artifactLocation,
          tags: tags.map(cutValue),
          now: clock.now(),
        });
        return { experiment_id: String(id) };
      },
    }),
    mlflowRoute({
      method: 'GET',
      path: '/experiments/get',
      summary: 'Get an experiment by its id',
      request: contract.experimentIdRequest,
      response: contract.experimentResponse,
      handle: async ({ experiment_id }) => ({
        experiment: toWireExperiment(await experiments.get(readExperimentId(experiment_id))),
      }),
    }),
    mlflowRoute({
      method: 'GET',
      path: '/experiments/get-by-name',
      summary: 'Get an experiment by its name',
      request: contract.experimentNameRequest,
      response: contract.experimentResponse,
      async handle({ experiment_name }) {
        const found = await experiments.findByName(experiment_name);
        if (found) return { experiment: toWireExperiment(found) };
        throw new ApiError(
          'RESOURCE_DOES_NOT_EXIST',
          `Could not find experiment with name '${experiment_name}'`,
        );
      },
    }),
    ...(['GET', 'POST'] as const).map((method) =>
      mlflowRoute({
        method,
        path: '/experiments/search',
        summary: 'Search experiments',
        request: contract.searchExperimentsRequest,
        response: contract.searchExperimentsResponse,
        handle: search,
      }),
    ),
    mlflowRoute({
      method: 'POST',
      path: '/experiments/update',
      summary: 'Rename an experiment',
      request: contract.updateExperimentRequest,
      response: contract.emptyResponse,
      async handle({ experiment_id, new_name }) {
        checkExperimentName(new_name);
        await database.execute(renameExperiment, {
          experimentId: readExperimentId(experiment_id),
          name: new_name,
          now: clock.now(),
        });
        return {};
      },
    }),
    ...(['delete', 'restore'] as const).map((action) =>
      mlflowRoute({
        method: 'POST',
        path: `/experiments/${action}`,
        summary: `${action === 'delete' ? 'Delete' : 'Restore'} an experiment and its runs`,
        request: contract.experimentIdRequest,
        response: contract.emptyResponse,
        async handle({ experiment_id }) {
          await database.execute(setExperimentStage, {
            experimentId: readExperimentId(experiment_id),
            stage: action === 'delete' ? 'deleted' : 'active',
            now: clock.now(),
          });
          return {};
        },
      }),
    ),
    mlflowRoute({
      method: 'POST',
      path: '/experiments/set-experiment-tag',
      summary: 'Set a tag of an experiment',
      request: contract.experimentTagRequest,
      response: contract.emptyResponse,
      async handle({ experiment_id, key, value }) {
        checkExperimentTag(key);
        await database.execute(setExperimentTag, {
          experimentId: readExperimentId(experiment_id),
          tag: cutValue({ key, value }),
          now: clock.now(),
        });
        return {};
      },
    }),
    mlflowRoute({
      method: 'POST',
      path: '/experiments/delete-experiment-tag',
      summary: 'Delete a tag of an experiment',
      request: contract.experimentTagKeyRequest,
      response: contract.emptyResponse,
      async handle({ experiment_id, key }) {
        await database.execute(deleteExperimentTag, { experimentId: readExperimentId(experiment_id), key });
        return {};
      },
    }),
  ];
}

const cutValue = ({ key, value }: { key: string; value: string }) => ({
  key,
  value: value.slice(0, MAX_TAG_VALUE_LENGTH),
});

const checkExperimentTag = (key: string) => checkKey('tag', key);

function checkExperimentName(name: string): void {
  if (name.length <= MAX_EXPERIMENT_NAME_LENGTH) return;
  throw new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Invalid value for parameter 'name' supplied: an experiment's name has at most ${MAX_EXPERIMENT_NAME_LENGTH} characters, this one ${name.length}`,
  );
}

/** Artifacts go through this server; a place that it does not manage would be written by nobody. */
function checkArtifactLocation(location: string | undefined): void {
  if (!location) return;
  if (/[#?]/.test(location) || location.includes('..')) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `Invalid artifact location '${location}': no '#', '?' or '..' is allowed`,
    );
  }
}
