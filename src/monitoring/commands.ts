import type { Command, Migration } from '../platform/index.ts';
import { driftCommands } from './drift-commands.ts';
import { driftMigrations } from './drift-migrations.ts';

export const monitoringCommands: Command<any, any>[] = [...driftCommands];

export const monitoringMigrations: Migration[] = [...driftMigrations];
