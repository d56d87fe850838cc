import { resolve } from 'node:path';
import type { Command } from 'commander';
import { readSettings } from './launch/read-settings.ts';
import type { Act } from './terminal/act.ts';
import { CliError } from './terminal/cli-error.ts';
import { withData, withExamples } from './terminal/options.ts';
import { formatBytes } from './terminal/terminal.ts';

export function configureBackup(command: Command, act: Act): void {
  withData(command, 'data folder of the platform, which may be running');
  command.argument('<folder>', 'a new folder for the copy').action(
    act(async (terminal, folder: string, options: object) => {
      const { io } = terminal;
      const settings = await readSettings(terminal, 'backup', options);
      refusePostgres(settings.DATABASE_URL, 'pg_dump --format=custom --file=tidemill.dump "$DATABASE_URL"');
      const { backupPlatform } = await import('../backup-platform.ts');
      const { readVersion } = await import('./terminal/read-version.ts');
      const destination = resolve(io.cwd, folder);
      const manifest = await backupPlatform({
        dataDir: resolve(io.cwd, settings.TIDEMILL_DATA),
        destination,
        version: readVersion(),
        now: Date.now(),
      });
      terminal.document({ folder: destination, ...manifest });
      terminal.line(
        `${terminal.colors.green('✓')} ${destination}: database ${formatBytes(manifest.database.size_bytes)}, ${manifest.artifacts.files} artifact files ${formatBytes(manifest.artifacts.size_bytes)}`,
      );
      terminal.line(`restore it with: tidemill restore ${folder} --data NEW_FOLDER`);
    }),
  );
  withExamples(command, [['tidemill backup backups/2026-11-21', 'while the platform works']]);
}

/** On PostgreSQL the database has tools of its own; copying the local folder would miss it. */
export function refusePostgres(url: string | undefined, remedy: string): void {
  if (url === undefined || !/^postgres(ql)?:/.test(url)) return;
  throw new CliError(
    `the platform's database is PostgreSQL, which has its own tool: ${remedy}; copy the artifacts folder beside it`,
  );
}
