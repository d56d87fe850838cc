import { datasetCommands, datasetMigrations } from './datasets/commands.ts';
import { deliveryCommands, deliveryMigrations } from './delivery/commands.ts';
import { jobCommands, jobMigrations } from './jobs/commands.ts';
import { monitoringCommands, monitoringMigrations } from './monitoring/commands.ts';
import { pipelineCommands, pipelineMigrations } from './pipelines/commands.ts';
import { platformCommands, platformMigrations } from './platform/commands.ts';
import type { Command, Migration } from './platform/index.ts';
import { registryCommands, registryMigrations } from './registry/commands.ts';
import { trackingCommands, trackingMigrations } from './tracking/commands.ts';

/**
 * Every slice's database commands and migrations: the SQLite writer thread loads this module, so nothing here may
 * pull in Fastify, DuckDB or ONNX Runtime. A slice adds two lines: `...<slice>Commands`, `...<slice>Migrations`.
 */
export const commands: Command<any, any>[] = [
  ...platformCommands,
  ...jobCommands,
  ...datasetCommands,
  ...trackingCommands,
  ...registryCommands,
  ...monitoringCommands,
  ...pipelineCommands,
  ...deliveryCommands,
];

/** Run in the order of their ids, `NNNN-<slice>-<what>`; a new one takes the next number after the highest of all. */
export const migrations: Migration[] = [
  ...platformMigrations,
  ...jobMigrations,
  ...datasetMigrations,
  ...trackingMigrations,
  ...registryMigrations,
  ...monitoringMigrations,
  ...pipelineMigrations,
  ...deliveryMigrations,
];
