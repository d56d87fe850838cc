import { mkdir, open, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { z } from 'zod';
import { type DesiredState, desiredStateSchema } from '../contract.ts';

/** What was measured of a model when it was loaded in a worker; kept so that the next start need not measure again. */
export const measureSchema = z.object({
  /** The ONNX Runtime that measured; another one measures anew. */
  runtime: z.string(),
  createMs: z.number(),
  /** Median time of a run of one row. */
  rowMicros: z.number(),
  /** Time per row in a run of many. */
  batchRowMicros: z.number(),
  /** Growth of the process's resident memory while the model was loaded and warmed; 0 when it could not be told. */
  memoryBytes: z.number(),
  /** A sample row says nothing of how long another one takes; a measure that does not tell is taken anew. */
  hasControlFlow: z.boolean(),
});

export type Measure = z.infer<typeof measureSchema>;

/** The bytes of a model, at once or as they come. */
export type ModelBytes = Uint8Array | AsyncIterable<Uint8Array>;

const SHA256 = /^[0-9a-f]{64}$/;

/**
 * The model server's own copy of what it serves: the desired state, the models' bytes by their sha256, and what was
 * measured of them. Every file is written beside its place, synced and renamed, so that `kill -9` leaves the old one
 * or the new one; bytes are checked by whoever loads them.
 */
export function createModelCache(folder: string) {
  const models = join(folder, 'models');
  const statePath = join(folder, 'desired-state.json');

  const modelPath = (sha256: string) => join(models, `${checkedDigest(sha256)}.onnx`);
  const measurePath = (sha256: string) => join(models, `${checkedDigest(sha256)}.json`);

  return {
    modelPath,

    /** Makes the folders, and removes what an interrupted write left. */
    async open(): Promise<void> {
      await mkdir(models, { recursive: true });
      for (const at of [folder, models]) {
        for (const name of await readdir(at)) {
          if (name.endsWith('.tmp')) await rm(join(at, name), { force: true });
        }
      }
    },

    /** Undefined when there is none, or when it cannot be read: then the control plane has to be asked. */
    async readDesiredState(): Promise<DesiredState | undefined> {
      return parsed(statePath, desiredStateSchema);
    },

    writeDesiredState: (state: DesiredState): Promise<void> =>
      writeAtomically(statePath, JSON.stringify(state)),

    readMeasure: (sha256: string): Promise<Measure | undefined> => parsed(measurePath(sha256), measureSchema),

    writeMeasure: (sha256: string, measure: Measure): Promise<void> =>
      writeAtomically(measurePath(sha256), JSON.stringify(measure)),

    async hasModel(sha256: string): Promise<boolean> {
      return stat(modelPath(sha256)).then(
        (found) => found.isFile(),
        () => false,
      );
    },

    /** Keeps bytes that were fetched, unchecked. A stream goes to the disk as it comes, past this process's memory. */
    keepModel: (sha256: string, bytes: ModelBytes): Promise<void> =>
      writeAtomically(modelPath(sha256), bytes),

    /** Forgets a model whose bytes are not what their name says. */
    async dropModel(sha256: string): Promise<void> {
      await rm(modelPath(sha256), { force: true });
      await rm(measurePath(sha256), { force: true });
    },

    /** Removes the models that nothing needs, and gives their digests. Each is asked for right before it goes. */
    async dropUnneeded(isNeeded: (sha256: string) => boolean): Promise<string[]> {
      const dropped = new Set<string>();
      for (const name of await readdir(models)) {
        const digest = name.replace(/\.(onnx|json)$/, '');
        if (!SHA256.test(digest) || isNeeded(digest)) continue;
        await rm(join(models, name), { force: true });
        dropped.add(digest);
      }
      return [...dropped];
    },
  };
}

export type ModelCache = ReturnType<typeof createModelCache>;

/** Writes a file so that a reader finds it whole or not at all, also after a power cut. */
export async function writeAtomically(path: string, content: string | ModelBytes): Promise<void> {
  const temporary = `${path}.${process.pid}.${Math.random().toString(36).slice(2)}.tmp`;
  try {
    const file = await open(temporary, 'w');
    try {
      if (typeof content === 'string' || content instanceof Uint8Array) {
        await file.writeFile(content);
        await file.sync();
      } else await pipeline(content, file.createWriteStream({ flush: true }));
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

function checkedDigest(sha256: string): string {
  if (!SHA256.test(sha256)) throw new Error(`${JSON.stringify(sha256)} is not the hex digest of a sha256`);
  return sha256;
}

async function parsed<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}
