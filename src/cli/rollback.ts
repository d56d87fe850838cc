import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import { describeServed, waitUntilServed } from './http/wait-until-served.ts';
import type { Act } from './terminal/act.ts';
import { withExamples, withUrl } from './terminal/options.ts';

export function configureRollback(command: Command, act: Act): void {
  command
    .argument('<model>', 'the model')
    .option('--reason <text>', 'why; kept in the audit log')
    .action(
      act(async (terminal, name: string, options: { reason?: string; url?: string }) => {
        const client = controlPlane(options, terminal.io.env);
        const answer = await client.post<{ from: string; to: string; aborted?: string }>(
          `/api/v1/models/${encodeURIComponent(name)}/rollback`,
          options.reason === undefined ? {} : { reason: options.reason },
        );
        const served = await waitUntilServed(client, name, answer.to);
        terminal.document({ ...answer, served });
        const done =
          answer.aborted === undefined
            ? `version ${answer.to} serves again, instead of ${answer.from}`
            : `rollout ${answer.aborted} is aborted, version ${answer.to} answers everything, not ${answer.from}`;
        terminal.line(`${terminal.colors.green('✓')} ${name}: ${done}`);
        terminal.line(`  ${describeServed(name, served)}`);
      }),
    );
  withUrl(command);
  withExamples(command, [['tidemill rollback iris --reason "wrong labels"', '']]);
}
