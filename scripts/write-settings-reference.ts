import { writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import type { ZodType } from 'zod';
import { buildProgram } from '../src/cli/run-cli.ts';
import { CLIENT_SETTINGS, type ProcessName, SETTINGS } from '../src/settings.ts';

interface Row {
  variable: string;
  flag: string;
  fallback: string;
  right: string;
  meaning: string;
  readBy: string;
}

/** The other commands read it too, each where it needs it. */
const CLIENT_VARIABLES = new Set(['TIDEMILL_URL']);

/** The page docs/reference/settings.md: every setting, from the schemas that the processes check them with. */
export async function renderSettingsReference(): Promise<string> {
  const silent = { write: () => {}, columns: 100 };
  const program = await buildProgram({ stdout: silent, stderr: silent, env: {}, cwd: '/' }, { only: '*' });
  const names = Object.values(SETTINGS).flatMap((schema) => Object.keys(schema.shape));
  const rows = [
    ...[...new Set(names)].map((name) => rowOf(name, program)),
    ...Object.entries(CLIENT_SETTINGS).map(([variable, { flag, fallback, meaning }]) => ({
      variable,
      flag: flag === undefined ? '' : `\`${flag}\``,
      fallback,
      right: '',
      meaning,
      readBy: 'commands',
    })),
  ];
  const table = rows
    .sort((a, b) => (a.variable < b.variable ? -1 : 1))
    .map(
      ({ variable, flag, fallback, right, meaning, readBy }) =>
        `| \`${variable}\` | ${flag} | ${fallback} | ${meaning} | ${right} | ${readBy} |`,
    );
  return `# Settings

Written by \`node scripts/write-settings-reference.ts\` from the schemas that check them; a test compares.

A flag wins over its variable, an empty variable counts as not set. A wrong value ends the start with exit status 2 and a
message that names the variable or the flag, its value and what would be right. A \`TIDEMILL_*\` variable that is not in this
table is warned about at the start, with the name that was probably meant.

| variable | flag | default | meaning | value | read by |
|---|---|---|---|---|---|
${table.join('\n')}

\`NO_COLOR\` and \`FORCE_COLOR\` are respected. The options of the other commands are in [Command line](cli.md).
`;
}

function rowOf(variable: string, program: Command): Row {
  const flag = `--${variable
    .replace(/^TIDEMILL_/, '')
    .toLowerCase()
    .replaceAll('_', '-')}`;
  const readers = (Object.keys(SETTINGS) as ProcessName[]).filter((name) => variable in SETTINGS[name].shape);
  const flagged = readers.filter((name) =>
    program.commands.find((command) => command.name() === name)?.options.some(({ long }) => long === flag),
  );
  const schemas = readers.map(
    (name) => [name, (SETTINGS[name].shape as Record<string, ZodType>)[variable] as ZodType] as const,
  );
  const only = flagged.length === readers.length ? '' : ` (${flagged.join(', ')})`;
  return {
    variable,
    flag: flagged.length === 0 ? '' : `\`${flag}\`${only}`,
    fallback: joinDiffering(schemas.map(([name, schema]) => [name, defaultOf(schema)])),
    right: String(schemas[0]?.[1].description),
    meaning: meaningOf(schemas, variable),
    readBy: [...readers, ...(CLIENT_VARIABLES.has(variable) ? ['commands'] : [])].join(', '),
  };
}

/** One text where all agree, else each with who says so. */
function joinDiffering(told: [name: string, text: string][]): string {
  const texts = [...new Set(told.map(([, text]) => text))];
  if (texts.length <= 1) return texts[0] ?? '';
  return texts
    .map((text) => {
      const names = told.filter(([, other]) => other === text).map(([name]) => name);
      return `${names.join(', ')}: ${text}`;
    })
    .join('; ');
}

function defaultOf(schema: ZodType): string {
  const told = schema.meta()?.['fallback'];
  if (typeof told === 'string') return told;
  const { data } = schema.safeParse(undefined);
  if (data === undefined) return 'not set';
  return data === '' ? 'none' : `\`${typeof data === 'string' ? data : JSON.stringify(data)}\``;
}

function meaningOf(schemas: (readonly [string, ZodType])[], variable: string): string {
  const meanings = schemas.map(([, schema]) => schema.meta()?.['meaning']);
  if (typeof meanings[0] !== 'string' || new Set(meanings).size > 1) {
    throw new Error(`src/settings.ts must give ${variable} one meaning, and gives ${meanings.join(', ')}`);
  }
  return meanings[0];
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const page = fileURLToPath(new URL('../docs/reference/settings.md', import.meta.url));
  writeFileSync(page, await renderSettingsReference());
  process.stdout.write(`wrote ${page}\n`);
}
