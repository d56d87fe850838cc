export type {
  Command,
  CommandsModule,
  Database,
  DatabaseOptions,
  DialectName,
  Migration,
  Tx,
} from './database.ts';
export { command } from './database.ts';
export { openDatabase } from './open-database.ts';
export { sortedText } from './sorted-text.ts';
