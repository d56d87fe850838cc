import type { Clock, Database } from '../platform/index.ts';
import { createRunStore } from '../tracking/index.ts';
import { checkDescription, checkRegistryTag } from './check-names.ts';
import { createModelVersion } from './commands.ts';
import type { ModelFiles } from './model-files.ts';
import { createModelVersionStore } from './model-version-store.ts';
import { createRegisteredModelStore } from './registered-model-store.ts';
import { resolveSource } from './resolve-source.ts';

export interface RegisterRequest {
  name: string;
  /** Where the model lies: `mlflow-artifacts:/…`, `runs:/<run>/<path>`, `models:/<name>/<version>`. */
  source: string;
  runId: string;
  runLink?: string;
  userId: string;
  description: string;
  tags: { key: string; value: string }[];
  /** The same key again answers the version that it made, whatever became of it. */
  idempotencyKey?: string;
}

/** Registers versions of models that exist: looks for the ONNX file and keeps it and the run's held-out rows. */
export function createVersionRegistrar(deps: { database: Database; clock: Clock; files: ModelFiles }) {
  const { database, clock, files } = deps;
  const models = createRegisteredModelStore(database.reader);
  const versions = createModelVersionStore(database.reader);
  const runs = createRunStore(database.reader);
  const findArtifactUri = async (runId: string) => (await runs.find(runId))?.artifactUri;

  /** The artifact location that a version's source stands for. */
  const resolve = (source: string) =>
    resolveSource(source, {
      findVersion: (name, version) => versions.find(name, version),
      findAlias: (name, alias) => models.findAlias(name, alias),
      findArtifactUri,
    });

  return {
    resolve,

    async register(request: RegisterRequest): Promise<number> {
      const { name, source, runId, runLink = '', userId, description, tags, idempotencyKey } = request;
      checkDescription(description);
      for (const tag of tags) checkRegistryTag(tag);
      await models.get(name);
      const before =
        idempotencyKey === undefined ? undefined : await versions.findByKey(name, idempotencyKey);
      if (before !== undefined) return before;
      const location = await resolve(source);
      const artifactUri = runId ? await findArtifactUri(runId) : undefined;
      const file = await files.inspect(location);
      if (artifactUri !== undefined && file.sha256 !== undefined)
        await files.keepReference(artifactUri, file.sha256);
      return database.execute(createModelVersion, {
        name,
        description,
        userId,
        source,
        runId,
        runLink,
        tags,
        file,
        heldoutSha256: artifactUri === undefined ? undefined : await files.keepHeldOut(artifactUri),
        now: clock.now(),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      });
    },
  };
}
