import { execFileSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { commands, migrations } from './commands.ts';

/** Names of all packages that loading a module loads. */
function listLoadedPackages(module: string): string[] {
  const script = `
    import { registerHooks } from 'node:module';
    const packages = new Set();
    registerHooks({
      resolve(specifier, context, next) {
        const resolved = next(specifier, context);
        const name = /.*\\/node_modules\\/((@[^/]+\\/)?[^/]+)/.exec(resolved.url)?.[1];
        if (name !== undefined) packages.add(name);
        return resolved;
      },
    });
    await import(${JSON.stringify(new URL(module, import.meta.url).href)});
    console.log(JSON.stringify([...packages].sort()));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', script], {
    encoding: 'utf8',
  });
  return JSON.parse(output) as string[];
}

it('the writer thread loads nothing that serves, logs, reads tables or runs models', () => {
  const heavy = /^(fastify|@fastify\/|pino|prom-client|@duckdb\/|onnxruntime|@bufbuild\/|pg$|pg-)/;
  const loaded = listLoadedPackages('./commands.ts');
  expect(loaded).toContain('kysely');
  expect(loaded.filter((name) => heavy.test(name))).toEqual([]);
});

it('the platform loads its libraries when they are used: every thread and process imports it', () => {
  expect(listLoadedPackages('./platform/index.ts')).toEqual([]);
});

it('every command is named after its slice and every migration is numbered, once', () => {
  const names = commands.map((each) => each.name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.filter((name) => !/^[a-z]\w*\.[a-z]\w*$/i.test(name))).toEqual([]);
  const ids = migrations.map((each) => each.id);
  expect(new Set(ids).size).toBe(ids.length);
  expect(ids.filter((id) => !/^\d{4}-[a-z]+(-[a-z0-9]+)+$/.test(id))).toEqual([]);
  const numbers = ids.map((id) => id.slice(0, 4));
  expect(new Set(numbers).size).toBe(numbers.length);
});
