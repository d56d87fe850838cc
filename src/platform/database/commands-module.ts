import type { Command, CommandsModule } from './database.ts';

/** Loads `commands` and `migrations` and checks what can be checked at once: names and ids are unique. */
export async function loadCommandsModule(url: string): Promise<CommandsModule> {
  const loaded = (await import(/* @vite-ignore */ url)) as Partial<CommandsModule>;
  if (!Array.isArray(loaded.commands) || !Array.isArray(loaded.migrations))
    throw new Error(`${url} must export the arrays 'commands' and 'migrations'`);
  refuseDuplicates(
    'command',
    loaded.commands.map((each: Command<unknown, unknown>) => each.name),
  );
  refuseDuplicates(
    'migration',
    loaded.migrations.map((each) => each.id),
  );
  return { commands: loaded.commands, migrations: loaded.migrations };
}

/** Finds commands by name; the error says where a missing one belongs. */
export function indexCommands(module: CommandsModule): (name: string) => Command<unknown, unknown> {
  const byName = new Map(module.commands.map((each) => [each.name, each]));
  return (name) => {
    const found = byName.get(name);
    if (found === undefined)
      throw new Error(
        `No command is named '${name}': list it in its slice's commands.ts and in src/commands.ts`,
      );
    return found;
  };
}

function refuseDuplicates(kind: string, names: string[]): void {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) throw new Error(`Two ${kind}s are named '${name}'`);
    seen.add(name);
  }
}
