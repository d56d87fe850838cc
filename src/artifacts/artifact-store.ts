import type { Readable } from 'node:stream';

/** What is known of an artifact without reading it. */
export interface ArtifactInfo {
  sizeBytes: number;
  /** Of the content, in lower-case hex. */
  sha256: string;
}

export interface ArtifactEntry {
  /** The last part of the key. */
  name: string;
  isDirectory: boolean;
  /** Of a file; directories have none. */
  sizeBytes?: number;
}

/**
 * Bytes by key. Keys are relative paths with `/` (`7/abc/artifacts/model/model.onnx`); a key that could lead out of
 * the store is refused everywhere with INVALID_PARAMETER_VALUE. What was put is there whole or not at all, and
 * reading notices when it is no longer what was put.
 */
export interface ArtifactStore {
  /**
   * Stores the body under the key, in place of what was there, once all of it has arrived and lies safely on disk.
   *
   * @throws ApiError INVALID_PARAMETER_VALUE when `expect.sha256` is not the content's.
   */
  put(key: string, body: Readable | Uint8Array, expect?: { sha256?: string }): Promise<ArtifactInfo>;
  /**
   * A stream that fails at its end, with INVALID_STATE, when the content is damaged.
   *
   * @throws ApiError RESOURCE_DOES_NOT_EXIST.
   */
  open(key: string): Promise<ArtifactInfo & { stream: Readable }>;
  /** The whole content, checked. Throws as `open`. */
  read(key: string): Promise<Uint8Array>;
  head(key: string): Promise<ArtifactInfo | undefined>;
  /** One level below the folder `prefix` (`''` is the root), sorted by name; empty when there is nothing. */
  list(prefix: string): Promise<ArtifactEntry[]>;
  /** Does nothing when there is no such key; a folder is none, see `deletePrefix`. */
  delete(key: string): Promise<void>;
  /** Deletes every key below the folder `prefix`; does nothing when there is none, or when it is a file. */
  deletePrefix(prefix: string): Promise<void>;
  /** The path of a file on this machine with the content: to be read, never written. Throws as `open`. */
  localPath(key: string): Promise<string>;
}
