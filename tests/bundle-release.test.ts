import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { escapeNonAscii, takeBuiltinsDirectly } from '../scripts/bundle-release.ts';

describe('the bundle of the release', () => {
  it("takes Node's modules without building their namespaces", () => {
    const code = [
      'import path, { join, resolve as toPath } from "node:path";',
      'import * as os from "node:os";',
      'import process from "node:process";',
      'import "node:http";',
      'import { run } from "./chunk-a.js";',
    ].join('\n');
    expect(takeBuiltinsDirectly(code).split('\n')).toEqual([
      'var path = globalThis.process.getBuiltinModule("node:path"), { join, resolve: toPath } = globalThis.process.getBuiltinModule("node:path");',
      'var os = globalThis.process.getBuiltinModule("node:os");',
      'var process = globalThis.process.getBuiltinModule("node:process");',
      'import "node:http";',
      'import { run } from "./chunk-a.js";',
    ]);
  });

  it('writes letters beyond ASCII as escapes that mean the same', () => {
    const code = '`α ${"é"} 😀`.match(/[α-ω]/u)[0] + "😀"';
    const escaped = escapeNonAscii(code);
    expect(escaped).toMatch(/^[\0-\x7f]+$/);
    expect(runInNewContext(escaped)).toBe(runInNewContext(code));
  });
});
