import { resolve } from 'node:path';
import type { Command } from 'commander';
import { refusePostgres } from './backup.ts';
import type { Act } from './command-list.ts';
import { withExamples } from './options.ts';
import { formatTime } from './terminal.ts';

export function configureRestore(command: Command, act: Act): void {
  command
    .argument('<backup>', 'a folder that `tidemill backup` made')
    .option('--data <dir>', 'the new data folder', '.tidemill')
    .action(
      act(async (terminal, backup: string, options: { data: string }) => {
        const { io } = terminal;
        refusePostgres(io, 'psql "$DATABASE_URL" < tidemill.sql');
        const { restorePlatform } = await import('../backup-platform.ts');
        const dataDir = resolve(io.cwd, options.data);
        const manifest = await restorePlatform({ source: resolve(io.cwd, backup), dataDir });
        terminal.document({ data_dir: dataDir, ...manifest });
        terminal.line(
          `${terminal.colors.green('✓')} ${dataDir} is as it was at ${formatTime(manifest.created_at)}`,
        );
        terminal.line(`start it with: tidemill up --data ${options.data}`);
      }),
    );
  withExamples(command, [['tidemill restore backups/2026-11-21 --data .tidemill-restored', '']]);
}
