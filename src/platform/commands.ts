import { appendAuditEntry, auditMigration } from './audit.ts';
import type { Command, Migration } from './database/index.ts';

export const platformCommands: Command<any, any>[] = [appendAuditEntry];

export const platformMigrations: Migration[] = [auditMigration];
