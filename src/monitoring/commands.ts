import type { Command, Migration } from '../platform/index.ts';
import { driftCommands } from './drift-commands.ts';
import { driftMigrations } from './drift-migrations.ts';
import { logCommands, logMigrations } from './log/commands.ts';

export const monitoringCommands: Command<any, any>[] = [...logCommands, ...driftCommands];

export const monitoringMigrations: Migration[] = [...logMigrations, ...driftMigrations];
