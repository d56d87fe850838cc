import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { dropUnusedImports, escapeNonAscii, takeBuiltinsDirectly } from '../scripts/bundle-release.ts';

describe('the bundle of the release', () => {
  it("takes Node's modules without building their namespaces", () => {
    const code = [
      'import path, { join, resolve as toPath } from "node:path";',
      'import { defaultMaxListeners } from "node:events";',
      'import * as os from "node:os";',
      'import process from "node:process";',
      'import "node:http";',
      'import { run } from "./chunk-a.js";',
    ].join('\n');
    expect(takeBuiltinsDirectly(code, 'chunk-b.js').split('\n')).toEqual([
      'var path = globalThis.process.getBuiltinModule("node:path"), { join, resolve: toPath } = globalThis.process.getBuiltinModule("node:path");',
      'var { defaultMaxListeners } = globalThis.process.getBuiltinModule("node:events");',
      'var os = globalThis.process.getBuiltinModule("node:os");',
      'var process = globalThis.process.getBuiltinModule("node:process");',
      'import "node:http";',
      'import { run } from "./chunk-a.js";',
    ]);
  });

  it('loads no chunk of which a file uses nothing', () => {
    const used = 'import{a as run,b as stop}from"./chunk-a.js";';
    const rest = 'import"./chunk-c.js";import{z}from"zod";export{run};';
    expect(dropUnusedImports(`${used}import{a as walk,talk}from"./chunk-b.js";${rest}`)).toBe(used + rest);
  });

  it('writes letters beyond ASCII as escapes that mean the same', () => {
    const code = '`α ${"é"} 😀`.match(/[α-ω]/u)[0] + "😀"';
    const escaped = escapeNonAscii(code, 'chunk-b.js');
    expect(escaped).toMatch(/^[\0-\x7f]+$/);
    expect(runInNewContext(escaped)).toBe(runInNewContext(code));
  });

  it.each([
    'import { default as path } from "node:path";',
    'import { join, default as path } from "node:path";',
    'import {\n\tjoin,\n\tdefault as path\n} from "node:path";',
    'import { "module.exports" as path } from "node:path";',
  ])('refuses an import that would mean something else: %s', (line) => {
    expect(() => takeBuiltinsDirectly(`var a = 1;\n${line}`, 'chunk-b.js')).toThrow(
      `chunk-b.js: ${line} cannot be taken directly; write import x from "node:path"`,
    );
  });

  it('refuses a tagged text that an escape would change, and no other', () => {
    const refused = 'chunk-b.js: a tagged template has letters beyond ASCII: ';
    expect(() => escapeNonAscii('var a = { b: [String.raw`x${1}é`] };', 'chunk-b.js')).toThrow(`${refused}é`);
    expect(() => escapeNonAscii('`${tag`α ${`é`}`}`', 'chunk-b.js')).toThrow(`${refused}α`);
    expect(escapeNonAscii('tag`x ${"é"}`; // String.raw`é`', 'chunk-b.js')).toBe(
      'tag`x ${"\\u00e9"}`; // String.raw`\\u00e9`',
    );
  });
});
