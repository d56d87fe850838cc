import { type App, acceptStreams, requestSignal, streamOf } from '../platform/index.ts';
import { clearUploads, createVersionAdder, type DatasetDeps, datasetKey } from './add-versions.ts';
import * as contract from './contract.ts';
import { createDatasetStore } from './dataset-store.ts';

export interface DatasetRouteOptions extends DatasetDeps {
  /** Larger uploads are refused; 4 GiB otherwise. */
  maxUploadBytes?: number;
}

const FOUR_GIBIBYTES = 4 * 2 ** 30;
const tags = ['datasets'];

/** Datasets over HTTP: upload, list, look at, download, add rows. */
export function datasetRoutes({
  maxUploadBytes = FOUR_GIBIBYTES,
  ...deps
}: DatasetRouteOptions): (app: App) => Promise<void> {
  return async (app) => {
    const store = createDatasetStore(deps.database.reader);
    if (deps.tempFolder !== undefined) await clearUploads(deps.tempFolder);
    const adder = createVersionAdder(deps);

    app.get(
      '/api/v1/datasets',
      { schema: { tags, summary: 'List the datasets', response: { 200: contract.datasetListSchema } } },
      async () => ({ datasets: (await store.list()).map(contract.toWireDataset) }),
    );

    app.get(
      '/api/v1/datasets/:name',
      {
        schema: {
          tags,
          summary: 'List the versions of a dataset, newest first',
          params: contract.nameParams,
          response: { 200: contract.datasetSchema },
        },
      },
      async ({ params: { name } }) => ({
        name,
        versions: (await store.listVersions(name)).map(contract.toWireSummary),
      }),
    );

    app.get(
      '/api/v1/datasets/:name/versions/:version',
      {
        schema: {
          tags,
          summary: 'Get a version: schema, statistics, provenance',
          params: contract.versionParams,
          response: { 200: contract.versionSchema },
        },
      },
      async ({ params: { name, version } }) => contract.toWireVersion(await store.getVersion(name, version)),
    );

    app.get(
      '/api/v1/datasets/:name/versions/:version/statistics',
      {
        schema: {
          tags,
          summary: 'Get the statistics of a version',
          params: contract.versionParams,
          response: { 200: contract.statisticsSchema },
        },
      },
      async ({ params: { name, version } }) =>
        contract.toWireStatistics(await store.getVersion(name, version)),
    );

    app.get(
      '/api/v1/datasets/:name/versions/:version/data',
      { schema: { tags, summary: 'Download a version as Parquet', params: contract.versionParams } },
      async ({ params: { name, version: wanted } }, reply) => {
        const version = await store.getVersion(name, wanted);
        const { stream, sizeBytes, sha256 } = await deps.artifacts.open(datasetKey(version));
        const filename = encodeURIComponent(`${name}-${version.version}.parquet`);
        return reply
          .headers({
            'content-type': 'application/vnd.apache.parquet',
            'content-length': sizeBytes,
            'content-disposition': `attachment; filename*=UTF-8''${filename}`,
            'x-content-sha256': sha256,
          })
          .send(stream);
      },
    );

    app.post(
      '/api/v1/datasets/:name/rows',
      {
        schema: {
          tags,
          summary: 'Add rows below those of the newest version, as a new version',
          params: contract.nameParams,
          body: contract.addRowsBody,
          response: { 200: contract.addedVersionSchema },
        },
      },
      async (request, reply) => {
        const { version, created } = await adder.append({
          name: request.params.name,
          rows: request.body.rows,
          actor: request.actor,
          idempotencyKey: request.body.idempotency_key,
          signal: requestSignal(app, reply),
        });
        return { ...contract.toWireVersion(version), created };
      },
    );

    await app.register((plugin, _options, done) => {
      const scope = plugin as unknown as App;
      acceptStreams(scope, { maxBytes: maxUploadBytes });
      scope.post(
        '/api/v1/datasets/:name/versions',
        {
          schema: {
            tags,
            summary: 'Upload a CSV, Parquet or JSON lines file (the body) as the next version',
            params: contract.nameParams,
            querystring: contract.uploadQuery,
            response: { 200: contract.addedVersionSchema },
          },
        },
        async (request, reply) => {
          const { filename, format, id, time, text } = request.query;
          const { version, created } = await adder.upload({
            name: request.params.name,
            body: streamOf(request),
            filename,
            format,
            id,
            time,
            text: text === undefined ? undefined : [text].flat(),
            actor: request.actor,
            signal: requestSignal(app, reply),
          });
          return { ...contract.toWireVersion(version), created };
        },
      );
      done();
    });
  };
}
