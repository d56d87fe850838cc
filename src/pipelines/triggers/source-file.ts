import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, resolve } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createDatasetStore, createVersionAdder, type DatasetDeps } from '../../datasets/index.ts';
import { ConfigError } from '../../platform/index.ts';
import { createPipelineStore } from '../pipeline-store.ts';
import type { ModelProject } from '../project/project-schema.ts';
import type { PipelineModel } from '../tables.ts';

/** What is to be recorded of a source file, when it is not known yet. */
export interface KeptSource {
  changed: boolean;
  source?: NonNullable<PipelineModel['source']>;
}

type DataPolicy = ModelProject['data'];

/** Keeps a project's source files as versions of the datasets that are called as the models are. */
export function createSourceKeeper(deps: DatasetDeps) {
  const { database } = deps;
  const store = createPipelineStore(database.reader);
  const adder = createVersionAdder(deps);

  return {
    /**
     * Registers the file when its content is another than before; a file whose size and time are as before is not read.
     *
     * @throws ConfigError where the file is missing and the dataset too.
     */
    async keep(
      name: string,
      data: DataPolicy,
      folder: string,
      { actor, signal }: { actor: string; signal?: AbortSignal },
    ): Promise<KeptSource> {
      if (data.path === undefined) return { changed: false }; // A dataset of the platform.
      const path = resolve(folder, data.path);
      const found = await stat(path).catch(() => undefined);
      const datasets = createDatasetStore(database.reader);
      if (found === undefined || !found.isFile()) {
        const known = (await datasets.list()).some((dataset) => dataset.name === name);
        if (known) return { changed: false };
        throw new ConfigError(
          `models.${name}.data.path is ${JSON.stringify(data.path)}: there is no file ${path}`,
        );
      }
      const { format, id, time, text } = data;
      const how = JSON.stringify([format, id, time, text]);
      const stamp = `${found.size} ${found.mtimeMs} ${how}`;
      const before = (await store.find(name))?.source;
      if (before?.path === path && before.stamp === stamp) return { changed: false };
      const sha256 = await sha256Of(path, signal);
      const isSame = before?.sha256 === sha256 && before.stamp.endsWith(` ${how}`);
      let changed = false;
      if (!isSame) {
        const added = await adder.upload({
          name,
          body: createReadStream(path, { highWaterMark: 2 ** 20 }),
          filename: basename(path),
          ...(format !== undefined && { format }),
          ...(id !== undefined && { id }),
          ...(time !== undefined && { time }),
          ...(text !== undefined && { text }),
          actor,
          ...(signal !== undefined && { signal }),
        });
        changed = added.created;
      }
      return { changed, source: { path, stamp, sha256 } };
    },
  };
}

async function sha256Of(path: string, signal: AbortSignal | undefined): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 2 ** 20 }), hash, { signal });
  return hash.digest('hex');
}
