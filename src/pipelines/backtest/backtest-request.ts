import type { SourceFormat } from '../../datasets/index.ts';
import type { Logger } from '../../platform/index.ts';
import type { ModelProject } from '../project/project-schema.ts';
import type { BacktestPolicy } from './simulated-policy.ts';

export interface BacktestRequest {
  model: string;
  config: ModelProject;
  /** Files with dated rows; their paths are absolute. */
  files: { path: string; format?: SourceFormat | undefined }[];
  policies: readonly BacktestPolicy[];
  /** When the first model is there, ms since the epoch; after a fifth of the time otherwise. */
  startAt?: number | undefined;
  /** The newest part of the time, told apart. */
  holdoutMs?: number | undefined;
  codeVersion: string;
  processes: number;
  /** The module of the step processes. */
  entry: URL;
  logger: Logger;
  signal?: AbortSignal | undefined;
  onProgress?: (done: number, note: string) => void;
}
