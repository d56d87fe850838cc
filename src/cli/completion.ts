import { Argument, type Command, type Option } from 'commander';
import type { Act } from './terminal/act.ts';
import { withExamples } from './terminal/options.ts';

interface Words {
  name: string;
  summary: string;
  options: string[];
  subcommands: string[];
}

export function configureCompletion(command: Command, act: Act): void {
  command.addArgument(new Argument('<shell>', 'which shell').choices(['bash', 'zsh', 'fish'])).action(
    act(async (terminal, shell: 'bash' | 'zsh' | 'fish', _options: object, self: Command) => {
      const words = wordsOf(self.parent as Command);
      const script = { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](words);
      terminal.io.stdout.write(terminal.json ? `${JSON.stringify({ shell, script })}\n` : script);
    }),
  );
  withExamples(command, [
    ['source <(tidemill completion bash)', 'this bash'],
    ['tidemill completion zsh > "${fpath[1]}/_tidemill"', 'zsh'],
    ['tidemill completion fish > ~/.config/fish/completions/tidemill.fish', 'fish'],
  ]);
}

function wordsOf(program: Command): Words[] {
  return program.commands.map((command) => ({
    name: command.name(),
    summary: command.summary() || command.description(),
    options: [...command.options.map(longName), '--help'],
    subcommands: command.commands.map((child) => child.name()),
  }));
}

function longName(option: Option): string {
  return option.long ?? option.flags;
}

function bashScript(words: Words[]): string {
  const cases = words.map(
    ({ name, options, subcommands }) => `    ${name}) words="${[...subcommands, ...options].join(' ')}" ;;`,
  );
  return `# bash completion for tidemill
_tidemill() {
  local current="\${COMP_WORDS[COMP_CWORD]}" words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${words.map(({ name }) => name).join(' ')} --help --version" -- "$current"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words="" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _tidemill tidemill
`;
}

function zshScript(words: Words[]): string {
  const names = words.map(({ name, summary }) => `    '${name}:${quote(summary)}'`);
  const cases = words.map(
    ({ name, options, subcommands }) =>
      `    ${name}) compadd -- ${[...subcommands, ...options].join(' ')} ;;`,
  );
  return `#compdef tidemill
_tidemill() {
  local -a commands
  commands=(
${names.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe 'command' commands
    return
  fi
  case "$words[2]" in
${cases.join('\n')}
  esac
  _files
}
if [ "$funcstack[1]" = "_tidemill" ]; then _tidemill "$@"; else compdef _tidemill tidemill; fi
`;
}

function fishScript(words: Words[]): string {
  const lines = words.flatMap(({ name, summary, options, subcommands }) => [
    `complete -c tidemill -n __fish_use_subcommand -f -a ${name} -d '${quote(summary)}'`,
    ...subcommands.map(
      (child) => `complete -c tidemill -n '__fish_seen_subcommand_from ${name}' -a ${child}`,
    ),
    ...options.map(
      (option) =>
        `complete -c tidemill -n '__fish_seen_subcommand_from ${name}' -l ${option.replace(/^-+/, '')}`,
    ),
  ]);
  return `# fish completion for tidemill\n${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return text.replaceAll("'", '’').replaceAll(':', ' -');
}
