import type { Readable } from 'node:stream';
import type { ArtifactInfo, ArtifactStore } from '../artifacts/index.ts';
import { ApiError, createWorkLimit } from '../platform/index.ts';
import { keyOfLocation } from '../tracking/index.ts';
import type { ModelFile, ModelVersion } from './tables.ts';

/** Larger files are tracked, but not read into the server's memory to be looked at. */
const MAX_MODEL_BYTES = 512 * 1024 * 1024;
const MAX_MLMODEL_BYTES = 1024 * 1024;

/** Below a run's artifacts: rows that the model has not seen, with the target. */
const HELD_OUT_PATH = 'evaluation/heldout.parquet';

/** Below a run's artifacts: what the model was trained on, counted. */
const REFERENCE_PATH = 'evaluation/reference.json';
/** Beside it: how much the model relies on each column. */
const IMPORTANCE_PATH = 'importance.json';

const modelKey = (sha256: string) => `registry/models/${sha256}.onnx`;
const heldOutKey = (sha256: string) => `registry/heldout/${sha256}.parquet`;
/** By the model's digest: the reference belongs to the model's bytes. */
const referenceKey = (modelSha256: string) => `registry/references/${modelSha256}.json`;
const importanceKey = (modelSha256: string) => `registry/importance/${modelSha256}.json`;

export type ModelFiles = ReturnType<typeof createModelFiles>;

/**
 * The files of model versions. What serves must outlive the run that made it, so registering keeps the model and its
 * held-out rows under names of their own, by content.
 */
export function createModelFiles({ artifacts }: { artifacts: ArtifactStore }) {
  /** One at a time: a file is in memory as a whole while it is looked at. */
  const inspecting = createWorkLimit({ running: 1, waiting: 64, what: 'model files' });

  async function keep(from: string, keyOf: (sha256: string) => string): Promise<ArtifactInfo | undefined> {
    const info = await artifacts.head(from);
    if (!info) return undefined;
    const key = keyOf(info.sha256);
    if (!(await artifacts.head(key))) {
      const { stream } = await artifacts.open(from);
      await artifacts.put(key, stream, { sha256: info.sha256 });
    }
    return info;
  }

  /** The ONNX file at or below a key: the file itself, what its MLmodel names, or model.onnx. */
  async function findOnnx(key: string): Promise<{ key: string } | { reason: string }> {
    if (key.endsWith('.onnx') && (await artifacts.head(key))) return { key };
    const entries = await artifacts.list(key);
    const names = entries.filter((entry) => !entry.isDirectory).map((entry) => entry.name);
    const named = names.includes('MLmodel') ? await readOnnxName(`${key}/MLmodel`) : undefined;
    const file = named ?? 'model.onnx';
    if (await artifacts.head(`${key}/${file}`)) return { key: `${key}/${file}` };
    if (entries.length === 0) return { reason: 'there are no files at its source' };
    return {
      reason: `it has no ONNX file (only ${names.slice(0, 8).join(', ')}), and code from a model's files is never run: log the model's ONNX flavor and register that`,
    };
  }

  async function readOnnxName(key: string): Promise<string | undefined> {
    const info = await artifacts.head(key);
    if (!info || info.sizeBytes > MAX_MLMODEL_BYTES) return undefined;
    return onnxFileOf(new TextDecoder().decode(await artifacts.read(key)));
  }

  return {
    /**
     * Looks for a version's ONNX file and checks, without running anything of it, that it can be served. Whatever is
     * wrong with it is told as the reason; nothing is thrown.
     */
    async inspect(location: string): Promise<ModelFile> {
      const key = keyOfLocation(location);
      if (key === undefined) {
        return {
          servable: false,
          reason: `its source ${location} is not on this server, which serves only what is`,
        };
      }
      try {
        const found = await findOnnx(key);
        if ('reason' in found) return { servable: false, reason: found.reason };
        const info = await artifacts.head(found.key);
        if (!info) return { servable: false, reason: 'its ONNX file went away' };
        if (info.sizeBytes > MAX_MODEL_BYTES) {
          return {
            servable: false,
            reason: `its ONNX file has ${info.sizeBytes} bytes, more than ${MAX_MODEL_BYTES}`,
            ...info,
          };
        }
        const described = await inspecting(async () => describe(await artifacts.read(found.key)));
        if ('reason' in described) return { servable: false, reason: described.reason, ...info };
        await keep(found.key, modelKey);
        return { servable: true, ...info, ...described };
      } catch (error) {
        if (!(error instanceof ApiError) || error.status >= 500) throw error;
        return { servable: false, reason: error.message };
      }
    },

    /** Keeps a run's held-out rows and gives their digest; undefined when it has none. */
    async keepHeldOut(artifactUri: string): Promise<string | undefined> {
      const key = keyOfLocation(artifactUri, HELD_OUT_PATH);
      return key === undefined ? undefined : (await keep(key, heldOutKey))?.sha256;
    },

    /** Keeps a run's reference for the model with this digest; does nothing when it has none. */
    async keepReference(artifactUri: string, modelSha256: string): Promise<void> {
      const key = keyOfLocation(artifactUri, REFERENCE_PATH);
      if (key !== undefined) await keep(key, () => referenceKey(modelSha256));
      const importance = keyOfLocation(artifactUri, IMPORTANCE_PATH);
      if (importance !== undefined) await keep(importance, () => importanceKey(modelSha256));
    },

    /** A file on this machine with what the version was trained on, counted; undefined when none was logged. */
    async referencePath({ sha256 }: Pick<ModelVersion, 'sha256'>): Promise<string | undefined> {
      if (sha256 === undefined || !(await artifacts.head(referenceKey(sha256)))) return undefined;
      return artifacts.localPath(referenceKey(sha256));
    },

    /** How much a version relies on each column, as shares of 1; undefined when its run does not say. */
    async importanceOf({
      sha256,
    }: Pick<ModelVersion, 'sha256'>): Promise<Record<string, number> | undefined> {
      const key = sha256 === undefined ? undefined : importanceKey(sha256);
      const info = key === undefined ? undefined : await artifacts.head(key);
      if (key === undefined || info === undefined || info.sizeBytes > MAX_MLMODEL_BYTES) return undefined;
      return readImportance(new TextDecoder().decode(await artifacts.read(key)));
    },

    /** The bytes of a servable version, whose digest the store checks as they are read. */
    async openModel(version: ModelVersion): Promise<{ stream: Readable; sizeBytes: number; sha256: string }> {
      if (version.sha256 === undefined || !version.servable) throw notServable(version);
      return artifacts.open(modelKey(version.sha256));
    },

    /** A file on this machine with the model, to be read by another thread or process. */
    async modelPath(version: ModelVersion): Promise<string> {
      if (version.sha256 === undefined || !version.servable) throw notServable(version);
      return artifacts.localPath(modelKey(version.sha256));
    },

    /** A file on this machine with the version's held-out rows. */
    async heldOutPath(sha256: string): Promise<string> {
      return artifacts.localPath(heldOutKey(sha256));
    },
  };
}

export function notServable(version: ModelVersion): ApiError {
  return new ApiError(
    'INVALID_PARAMETER_VALUE',
    `Version ${version.version} of '${version.name}' cannot be served: ${version.notServableReason ?? 'it has no model file'}`,
  );
}

async function describe(
  bytes: Uint8Array,
): Promise<{ framework?: string; task: string } | { reason: string }> {
  const { FRAMEWORK_KEY, readMetadata, readSignature } = await import('../models/index.ts');
  try {
    const { output } = readSignature(bytes);
    const framework = readMetadata(bytes)[FRAMEWORK_KEY];
    return { task: output.task, ...(framework ? { framework } : {}) };
  } catch (error) {
    return { reason: `its ONNX file is not usable: ${(error as Error).message}` };
  }
}

/**
 * The file that an MLmodel's ONNX flavor names. Only this one value of the YAML is of interest: the `data` below the
 * `onnx` flavor.
 */
export function onnxFileOf(mlmodel: string): string | undefined {
  const lines = mlmodel.split(/\r?\n/);
  const start = lines.findIndex((line) => /^\s+onnx:\s*$/.test(line));
  if (start < 0) return undefined;
  const indent = indentOf(lines[start] as string);
  for (const line of lines.slice(start + 1)) {
    if (line.trim() === '') continue;
    if (indentOf(line) <= indent) return undefined;
    const data = /^\s+data:\s*(['"]?)(.+?)\1\s*$/.exec(line)?.[2];
    if (data !== undefined) return data;
  }
  return undefined;
}

/** Shares by column out of a training's list; undefined when it is none. */
function readImportance(text: string): Record<string, number> | undefined {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!Array.isArray(list)) return undefined;
  const pairs = (list as unknown[]).flatMap((each): [string, number][] => {
    const { column, share } = (each ?? {}) as { column?: unknown; share?: unknown };
    return typeof column === 'string' && typeof share === 'number' ? [[column, share]] : [];
  });
  return Object.fromEntries(pairs);
}

const indentOf = (line: string) => line.length - line.trimStart().length;
