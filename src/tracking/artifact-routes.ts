import { posix } from 'node:path';
import { z } from 'zod';
import type { ArtifactEntry, ArtifactStore } from '../artifacts/index.ts';
import { ApiError, type App, acceptStreams, type Database, streamOf } from '../platform/index.ts';
import { keyOfLocation, trackingKey, withoutEndSlashes } from './artifact-location.ts';
import * as contract from './contract.ts';
import { type MlflowRoute, mlflowRoute } from './mlflow-protocol.ts';
import { createRunStore } from './run-store.ts';
import { readRunId, unlessEmpty } from './wire-format.ts';

const PREFIX = '/api/2.0/mlflow-artifacts';

const MAX_ARTIFACT_BYTES = 64 * 2 ** 30;

const CONTENT_TYPES: Record<string, string> = {
  '.csv': 'text/csv; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.jpeg': 'image/jpeg',
  '.jpg': 'image/jpeg',
  '.json': 'application/json',
  '.md': 'text/plain; charset=utf-8',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.yaml': 'text/plain; charset=utf-8',
  '.yml': 'text/plain; charset=utf-8',
};

/** What lies below a run, as the 2.x clients list it: paths from the run's root. */
export function runArtifactRoutes(deps: { database: Database; artifacts: ArtifactStore }): MlflowRoute[] {
  const runs = createRunStore(deps.database.reader);
  return [
    mlflowRoute({
      method: 'GET',
      path: '/artifacts/list',
      summary: "List one level of a run's artifacts",
      request: contract.listRunArtifactsRequest,
      response: contract.listRunArtifactsResponse,
      async handle(input) {
        const { artifactUri } = await runs.get(readRunId(input));
        const folder = withoutEndSlashes(input.path);
        const key = keyOfLocation(artifactUri, folder);
        const entries = key === undefined ? [] : await deps.artifacts.list(key);
        return { root_uri: artifactUri, files: unlessEmpty(toWireArtifacts(entries, folder)) };
      },
    }),
  ];
}

/** The artifact proxy: clients read and write files through this server and need no credentials of a store. */
export async function registerArtifactProxy(
  app: App,
  { artifacts }: { artifacts: ArtifactStore },
): Promise<void> {
  await app.register((plugin, _options, done) => {
    const scope = plugin as unknown as App;
    // A file is stored as it comes, whatever type its sender claims.
    acceptStreams(scope, { maxBytes: MAX_ARTIFACT_BYTES });
    addProxyRoutes(scope, artifacts);
    done();
  });
}

function addProxyRoutes(app: App, artifacts: ArtifactStore): void {
  const tags = ['artifacts'];
  const file = z.object({ '*': z.string() });

  app.get(
    `${PREFIX}/artifacts`,
    {
      schema: {
        tags,
        summary: 'List one level of a folder of artifacts',
        querystring: z.object({ path: z.string().optional() }),
        response: { 200: contract.listArtifactsResponse },
      },
    },
    async (request) => {
      const folder = withoutEndSlashes(request.query.path ?? '');
      const entries = await artifacts.list(folder === '' ? 'tracking' : trackingKey(folder));
      return { files: unlessEmpty(toWireArtifacts(entries, '')) };
    },
  );

  app.get(
    `${PREFIX}/artifacts/*`,
    { schema: { tags, summary: 'Download an artifact', params: file } },
    async (request, reply) => {
      const path = request.params['*'];
      const { stream, sizeBytes, sha256 } = await open(artifacts, path);
      const name = posix.basename(path);
      return reply
        .headers({
          'content-type': CONTENT_TYPES[posix.extname(name).toLowerCase()] ?? 'application/octet-stream',
          'content-length': sizeBytes,
          'content-disposition': `attachment; filename*=UTF-8''${encodeURIComponent(name)}`,
          'x-content-sha256': sha256,
        })
        .send(stream);
    },
  );

  app.put(
    `${PREFIX}/artifacts/*`,
    {
      schema: {
        tags,
        summary: 'Upload an artifact',
        params: file,
        response: { 200: contract.emptyResponse },
      },
    },
    async (request) => {
      await artifacts.put(trackingKey(request.params['*']), streamOf(request));
      return {};
    },
  );

  app.delete(
    `${PREFIX}/artifacts/*`,
    {
      schema: {
        tags,
        summary: 'Delete a file or a folder',
        params: file,
        response: { 200: contract.emptyResponse },
      },
    },
    async (request) => {
      const key = trackingKey(request.params['*']);
      await artifacts.delete(key);
      await artifacts.deletePrefix(key);
      return {};
    },
  );

  for (const step of ['create', 'complete', 'abort']) {
    app.post(`${PREFIX}/mpu/${step}/*`, { schema: { hide: true } }, async () => {
      throw new ApiError(
        'NOT_IMPLEMENTED',
        'Multipart upload is not supported for the current artifact repository; upload the file by one PUT',
      );
    });
  }
}

async function open(artifacts: ArtifactStore, path: string) {
  try {
    return await artifacts.open(trackingKey(path));
  } catch (error) {
    if (error instanceof ApiError && error.code === 'RESOURCE_DOES_NOT_EXIST') {
      throw new ApiError('RESOURCE_DOES_NOT_EXIST', `No such artifact: '${path}'`);
    }
    throw error;
  }
}

function toWireArtifacts(entries: ArtifactEntry[], folder: string): contract.WireArtifact[] {
  return entries.map((entry) => ({
    path: folder === '' ? entry.name : `${folder}/${entry.name}`,
    is_dir: entry.isDirectory,
    file_size: entry.isDirectory ? undefined : entry.sizeBytes,
  }));
}
