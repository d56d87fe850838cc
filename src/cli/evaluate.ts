import type { Command } from 'commander';
import { CliError } from './cli-error.ts';
import type { Act } from './command-list.ts';
import { withExamples, withUrl } from './options.ts';

export function configureEvaluate(command: Command, act: Act): void {
  command
    .argument('<model>', 'NAME, NAME/VERSION or NAME@ALIAS')
    .argument('<data>', 'labelled rows')
    .action(
      act(async () => {
        throw new CliError('not wired yet');
      }),
    );
  withUrl(command);
  withExamples(command, [['tidemill evaluate iris examples/iris/iris.csv', '']]);
}
