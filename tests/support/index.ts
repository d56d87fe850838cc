export { fixedClock } from './fixed-clock.ts';
export { silentLogger } from './silent-logger.ts';
export { tempDir } from './temp-dir.ts';
export { createPostgresDatabase, describeDatabases, openTestDatabase, tamperWith } from './test-database.ts';
