import { resolve } from 'node:path';
import type { Command } from 'commander';
import { refusePostgres } from './backup.ts';
import { readSettings } from './launch/read-settings.ts';
import type { Act } from './terminal/act.ts';
import { withData, withExamples } from './terminal/options.ts';
import { formatTime } from './terminal/terminal.ts';

export function configureRestore(command: Command, act: Act): void {
  withData(command, 'the new data folder');
  command.argument('<backup>', 'a folder that `tidemill backup` made').action(
    act(async (terminal, backup: string, options: object) => {
      const { io } = terminal;
      const settings = await readSettings(terminal, 'restore', options);
      refusePostgres(settings.DATABASE_URL, 'pg_restore --dbname="$DATABASE_URL" tidemill.dump');
      const { restorePlatform } = await import('../backup-platform.ts');
      const dataDir = resolve(io.cwd, settings.TIDEMILL_DATA);
      const manifest = await restorePlatform({ source: resolve(io.cwd, backup), dataDir });
      terminal.document({ data_dir: dataDir, ...manifest });
      terminal.line(
        `${terminal.colors.green('✓')} ${dataDir} is as it was at ${formatTime(manifest.created_at)}`,
      );
      terminal.line(`start it with: tidemill up --data ${settings.TIDEMILL_DATA}`);
    }),
  );
  withExamples(command, [['tidemill restore backups/2026-11-21 --data .tidemill-restored', '']]);
}
