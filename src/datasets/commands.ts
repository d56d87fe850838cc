import { type Command, command } from '../platform/index.ts';
import { createDatasetStore, type NewVersion } from './dataset-store.ts';

export { datasetMigrations } from './migrations.ts';

export const addDatasetVersion = command('dataset.addVersion', (tx, input: NewVersion) =>
  createDatasetStore(tx).add(input),
);

export const datasetCommands: Command<any, any>[] = [addDatasetVersion];
