import type { Command } from 'commander';
import { controlPlane } from './http/http-client.ts';
import type { Act } from './terminal/act.ts';
import { withExamples, withUrl } from './terminal/options.ts';

interface Explanation {
  what: string;
  value: string;
  is_default: boolean;
  formula: string;
  source: string;
}

export function configureExplain(command: Command, act: Act): void {
  command.argument('<model>', 'the model').action(
    act(async (terminal, name: string, options: { url?: string }) => {
      const answer = await controlPlane(options, terminal.io.env).get<{
        name: string;
        entries: Explanation[];
      }>(`/api/v1/models/${encodeURIComponent(name)}/explain`);
      terminal.document(answer);
      const { colors } = terminal;
      let topic = '';
      for (const { what, value, is_default: isDefault, formula, source } of answer.entries) {
        const [of = '', ...rest] = what.split(': ');
        if (of !== topic) terminal.line(`${topic === '' ? '' : '\n'}${colors.bold(of)}`);
        topic = of;
        const name = rest.length === 0 ? of : rest.join(': ');
        const from = source === 'built in' ? source : isDefault ? `default of ${source}` : source;
        terminal.line(`  ${name}: ${colors.bold(value)}  ${colors.dim(`(${from})`)}`);
        terminal.line(`    ${formula}`);
      }
    }),
  );
  withUrl(command);
  withExamples(command, [
    ['tidemill explain flights', 'what decides when it is retrained and what is let in'],
  ]);
}
