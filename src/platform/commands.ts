import type { Command, Migration } from './database/index.ts';

export const platformCommands: Command<any, any>[] = [];

export const platformMigrations: Migration[] = [];
