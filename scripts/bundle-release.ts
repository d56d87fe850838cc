import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join, relative, sep } from 'node:path';
import { type Plugin, rolldown } from 'rolldown';
import { parseSync } from 'rolldown/utils';
import { scanImports } from './scan-imports.ts';

/** Native packages, and one that brings files of its own to serve, stay where npm put them. */
export const EXTERNAL: readonly string[] = ['onnxruntime-node', '@duckdb/node-api', '@fastify/swagger-ui'];

/** What starts a process, or is the package's door. */
const ENTRIES = ['cli/main.js', 'index.js', 'model-server-process.js'];

/**
 * Joins the compiled modules of `libDir` and the packages they use into few files, because resolving and compiling
 * seven hundred small ones is most of the time that a process takes to start. Modules that are loaded by their URL
 * (threads, child processes) keep their place as a stub of one line; declarations stay as they are. Writes the licences
 * of what was taken in to `noticesPath`.
 */
export async function bundleRelease({
  libDir,
  nodeModules,
  noticesPath,
}: {
  libDir: string;
  nodeModules: string;
  noticesPath: string;
}): Promise<void> {
  const compiled = (readdirSync(libDir, { recursive: true }) as string[])
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.split(sep).join('/'));
  const entries = [...new Set([...ENTRIES, ...findUrlTargets(libDir, compiled)])];
  const names = new Map(entries.map((file) => [`entry-${file.slice(0, -3).replaceAll('/', '-')}`, file]));
  const bundledPackages = new Set<string>();

  const bundle = await rolldown({
    input: Object.fromEntries([...names].map(([name, file]) => [name, join(libDir, file)])),
    platform: 'node',
    external: (id) =>
      builtinModules.includes(id) || id.startsWith('node:') || EXTERNAL.some((name) => id === name),
    resolve: { modules: [nodeModules] },
    // No module of ours does anything by being loaded alone, so that one of which nothing is used is left out.
    treeshake: { moduleSideEffects: (id) => (id.startsWith(libDir + sep) ? false : undefined) },
    plugins: [
      keepModuleUrls(libDir),
      notePackages(nodeModules, bundledPackages),
      {
        name: 'take-builtins-directly',
        renderChunk: (code, { fileName }) => takeBuiltinsDirectly(code, fileName),
      },
    ],
    logLevel: 'warn',
  });
  const { output } = await bundle.generate({
    format: 'esm',
    dir: libDir,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunk-[name]-[hash].js',
    // Names stay, so that stack traces can be read.
    minify: { compress: false, mangle: false, codegen: { removeWhitespace: true } },
  });
  await bundle.close();

  for (const file of compiled) rmSync(join(libDir, file));
  for (const file of output) {
    if (file.type !== 'chunk') continue;
    const code = escapeNonAscii(dropUnusedImports(file.code), file.fileName);
    writeFileSync(join(libDir, file.fileName), code);
  }
  for (const [name, file] of names) {
    const up = '../'.repeat(file.split('/').length - 1) || './';
    mkdirSync(dirname(join(libDir, file)), { recursive: true });
    writeFileSync(join(libDir, file), `export * from '${up}${name}.js';\n`);
  }
  writeFileSync(noticesPath, collectNotices(nodeModules, bundledPackages));
}

/** Compiled modules that others name by `new URL('./x.js', import.meta.url)`. */
function findUrlTargets(libDir: string, compiled: string[]): string[] {
  return compiled.flatMap((file) =>
    scanImports(readFileSync(join(libDir, file), 'utf8'))
      .filter(({ kind }) => kind === 'url')
      .map(({ specifier }) => join(dirname(file), specifier).split(sep).join('/'))
      .map((target) => (target.endsWith('.js') ? target : `${target}.js`))
      .filter((target) => compiled.includes(target)),
  );
}

/**
 * A module's own URL means its old place also when its code lies elsewhere: all output is in `libDir` itself, so the
 * old place is found from there. `createRequire(import.meta.url)('name')` becomes a plain `require`, which the bundler
 * follows and keeps lazy.
 */
function keepModuleUrls(libDir: string): Plugin {
  return {
    name: 'keep-module-urls',
    transform(code, id) {
      if (!id.startsWith(libDir + sep)) return null;
      const place = relative(libDir, id).split(sep).join('/');
      return code
        .replace(/createRequire\(import\.meta\.url\)\(\s*(['"][^'"]+['"]),?\s*\)/g, 'require($1)')
        .replaceAll('import.meta.url', `new URL('./${place}', import.meta.url).href`);
    },
  };
}

/**
 * `import { createServer } from 'node:http'` reads every export of that module to build its namespace, also those that Node
 * loads at first use: undici behind `WebSocket` alone costs 40 ms of CPU in each process and thread. Throws where this would
 * mean something else: what `getBuiltinModule` gives is the default export, and has none of its own.
 */
export function takeBuiltinsDirectly(code: string, fileName: string): string {
  const take = (name: string) => `globalThis.process.getBuiltinModule(${JSON.stringify(name)})`;
  return code.replace(
    /^import (?:(\w+)(?:, )?)?(?:\{([^}]*)\}|\* as (\w+))? ?from "(node:[\w/]+)";$/gm,
    (line, byDefault?: string, named?: string, namespace?: string, name = '') => {
      if (/(^|,)\s*(default\b|["'])/.test(named ?? ''))
        throw new Error(`${fileName}: ${line} cannot be taken directly; write import x from "${name}"`);
      const whole = [byDefault, namespace].flatMap((each) => (each ? `${each} = ${take(name)}` : []));
      const parts = named?.trim() ? `{${named.replaceAll(' as ', ': ')}} = ${take(name)}` : [];
      if (whole.length + parts.length === 0) return line;
      return `var ${whole.concat(parts).join(', ')};`;
    },
  );
}

/**
 * One letter beyond Latin-1 doubles what a file of source costs in memory, and the time that it takes to be read. Throws where
 * an escape would mean something else: a tag, as `String.raw`, may read its text as it is written.
 */
export function escapeNonAscii(code: string, fileName: string): string {
  if (/[^\0-\x7f]/.test(code)) {
    for (const text of findTaggedTexts(parseSync(fileName, code).program)) {
      if (/[^\0-\x7f]/.test(text))
        throw new Error(`${fileName}: a tagged template has letters beyond ASCII: ${text.slice(0, 80)}`);
    }
  }
  return code.replace(/[^\0-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/**
 * The door of a slice that is loaded late is a file of its own, which imports from every chunk that the slice is spread over,
 * also those of which it hands nothing on: `drift report` would read the whole control plane.
 */
export function dropUnusedImports(code: string): string {
  let kept = code;
  for (const [statement, names = ''] of code.matchAll(/import ?\{([^}]*)\} ?from ?"\.\/chunk-[^"]+";\n?/g)) {
    const without = kept.replace(statement, '');
    const locals = names.split(',').map(
      (name) =>
        name
          .trim()
          .split(/\s+as\s+/)
          .at(-1)!,
    );
    const isUsed = (local: string) => without.split(local).length > 1;
    if (!locals.some(isUsed)) kept = without;
  }
  return kept;
}

/** The texts of all templates with a tag, as they are written. */
function findTaggedTexts(node: unknown): string[] {
  if (node === null || typeof node !== 'object') return [];
  const nested = Object.values(node).flatMap(findTaggedTexts);
  const { type, quasi } = node as {
    type?: string;
    quasi?: { quasis: { value: { raw: string } }[] };
  };
  return type === 'TaggedTemplateExpression' && quasi
    ? [...quasi.quasis.map(({ value }) => value.raw), ...nested]
    : nested;
}

function notePackages(nodeModules: string, found: Set<string>): Plugin {
  return {
    name: 'note-packages',
    moduleParsed({ id }) {
      if (!id.startsWith(nodeModules + sep)) return;
      const parts = relative(nodeModules, id).split(sep);
      found.add(parts[0]?.startsWith('@') ? `${parts[0]}/${parts[1]}` : (parts[0] ?? ''));
    },
  };
}

function collectNotices(nodeModules: string, packages: Set<string>): string {
  const sections = [...packages].sort().map((name) => {
    const folder = join(nodeModules, name);
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as {
      version: string;
      license?: string;
    };
    const file = readdirSync(folder).find((each) => /^(licen[cs]e|copying)(\.|$)/i.test(each));
    const text =
      file && existsSync(join(folder, file)) ? readFileSync(join(folder, file), 'utf8').trim() : '';
    return `${name} ${manifest.version} (${manifest.license ?? 'see below'})\n\n${text}\n`;
  });
  return `Tidemill contains code of the packages below.\n\n${sections.join(`\n${'-'.repeat(80)}\n\n`)}`;
}
