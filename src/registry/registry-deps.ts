import type { Clock, Database } from '../platform/index.ts';
import type { ModelFiles } from './model-files.ts';
import type { ServingSignal } from './serving-signal.ts';

export interface RegistryDeps {
  database: Database;
  clock: Clock;
  files: ModelFiles;
  /** Told after every write that may change what serves. */
  moved: ServingSignal;
  /** Refuses, by throwing, a change of what serves that does not come from a promotion or a rollback. */
  guardChampionMove?:
    | ((name: string, version?: number, how?: 'rename' | 'delete') => Promise<void>)
    | undefined;
}
