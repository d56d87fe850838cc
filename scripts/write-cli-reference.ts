import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { buildProgram } from '../src/cli/run-cli.ts';
import { EXIT_CODES } from '../src/cli/terminal/cli-error.ts';

const MEANINGS: Record<keyof typeof EXIT_CODES, string> = {
  ok: 'done',
  failed: 'failed; the message says why. Of `drift check`: what `--fail-on` names was found',
  usage: 'wrong usage: an unknown option, a value of the wrong form',
  unreachable: 'no server answers, or not in time',
  refused:
    'the gate refused a promotion. A retraining whose version it refuses has done its work: `retrain --wait` is 0, and `result.outcome` says `rejected`',
  interrupted: 'interrupted by ^C',
};

/** The page docs/reference/cli.md: every command's own help, and the exit statuses. */
export async function renderCliReference(): Promise<string> {
  const io = {
    stdout: { write: () => {}, columns: 100 },
    stderr: { write: () => {}, columns: 100 },
    env: {},
    cwd: '/',
  };
  const program = await buildProgram(io, { only: '*' });
  const sections = [program, ...program.commands.flatMap(withChildren)].map(
    (command) => `## ${titleOf(command)}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\``,
  );
  const statuses = Object.entries(EXIT_CODES).map(
    ([name, status]) => `| ${status} | ${MEANINGS[name as keyof typeof EXIT_CODES]} |`,
  );
  return `# Command line

Written by \`node scripts/write-cli-reference.ts\` from the commands themselves; a test compares.

In a clone \`tidemill\` is \`npx tidemill\`. Commands find the control plane by \`--url\`, else by \`TIDEMILL_URL\`, else at \`http://127.0.0.1:7070\`; the model server by
\`--serve-url\`, else by \`TIDEMILL_SERVE_URL\`, else where the control plane says, else at \`http://127.0.0.1:7071\`. Results go
to stdout, remarks and progress to stderr. Under \`--json\` stdout carries exactly one JSON document (\`demo\` prints one a week besides), a failure is one line
\`{"error_code","message"}\` on stderr, with \`details\` where there are any, a warning one line \`{"warning"}\` there. \`NO_COLOR\` and \`FORCE_COLOR\` are respected; \`TIDEMILL_DEBUG=1\` adds stacks.

| exit status | meaning |
|---|---|
${statuses.join('\n')}

${sections.join('\n\n')}
`;
}

function withChildren(command: Command): Command[] {
  return command.name() === 'help' ? [] : [command, ...command.commands.flatMap(withChildren)];
}

function titleOf(command: Command): string {
  return command.parent ? `${titleOf(command.parent)} ${command.name()}` : command.name();
}

function helpOf(command: Command): string {
  let text = '';
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => 100,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trim();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const page = fileURLToPath(new URL('../docs/reference/cli.md', import.meta.url));
  writeFileSync(page, await renderCliReference());
  process.stdout.write(`wrote ${page}\n`);
}
