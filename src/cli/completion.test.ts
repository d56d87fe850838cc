import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { runCapturedCli } from '../../tests/support/run-captured-cli.ts';

const complete = (script: string, words: string[]) => {
  const test = `${script}\nCOMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _tidemill; echo "\${COMPREPLY[@]}"`;
  return spawnSync('bash', ['--norc', '-c', test], { encoding: 'utf8' }).stdout.trim().split(/\s+/);
};

describe('tidemill completion', () => {
  it('completes commands, subcommands and options in a real bash', async () => {
    const { stdout } = await runCapturedCli(['completion', 'bash']);
    expect(complete(stdout, ['tidemill', 'pro'])).toEqual(['promote']);
    expect(complete(stdout, ['tidemill', 'datasets', 's'])).toEqual(['show']);
    expect(complete(stdout, ['tidemill', 'train', '--prom'])).toEqual(['--promote']);
    expect(complete(stdout, ['tidemill', 'up', '--serve'])).toEqual(['--serve-port']);
  });

  it('names every command for zsh and fish, and refuses another shell', async () => {
    const zsh = (await runCapturedCli(['completion', 'zsh'])).stdout;
    const fish = (await runCapturedCli(['completion', 'fish'])).stdout;
    expect(zsh).toContain("'load-test:");
    expect(zsh).toContain('#compdef tidemill');
    expect(fish).toContain('complete -c tidemill -n __fish_use_subcommand -f -a load-test');
    expect((await runCapturedCli(['completion', 'csh'])).status).toBe(2);
  });
});
