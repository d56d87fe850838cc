import type { Command } from 'commander';
import type { Act } from './command-list.ts';
import { controlPlane } from './http-client.ts';
import { withExamples, withUrl } from './options.ts';

export function configureRollback(command: Command, act: Act): void {
  command
    .argument('<model>', 'the model')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(
      act(async (terminal, name: string, options: { reason?: string; url?: string }) => {
        const answer = await controlPlane(options, terminal.io.env).post<{ from: string; to: string }>(
          `/api/v1/models/${encodeURIComponent(name)}/rollback`,
          options.reason === undefined ? {} : { reason: options.reason },
        );
        terminal.document(answer);
        terminal.line(
          `${terminal.colors.green('✓')} ${name}: version ${answer.to} serves again, instead of ${answer.from}`,
        );
      }),
    );
  withUrl(command);
  withExamples(command, [['tidemill rollback iris --reason "wrong labels"', '']]);
}
