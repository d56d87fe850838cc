import { describe, expect, it } from 'vitest';
import {
  createTerminal,
  formatBytes,
  formatCount,
  formatDuration,
  formatNumber,
  formatTable,
  formatTime,
} from './terminal.ts';

function capture({ isTTY = false, json = false, env = {} } = {}) {
  const out: string[] = [];
  const err: string[] = [];
  const terminal = createTerminal(
    {
      stdout: { isTTY, write: (text) => out.push(text) },
      stderr: { isTTY, columns: 60, write: (text) => err.push(text) },
      env,
      cwd: '/',
    },
    { json },
  );
  return { terminal, out: () => out.join(''), err: () => err.join('') };
}

describe('the terminal', () => {
  it('aligns tables, numbers to the right, and shows nothing as a dash', () => {
    expect(
      formatTable(
        ['name', 'rows'],
        [
          ['a', 5],
          ['long', 12_345],
          ['none', undefined],
        ],
      ),
    ).toEqual(['name   rows', 'a         5', 'long  12345', 'none      -']);
  });

  it('makes columns of text narrower where a table is wider than the terminal', () => {
    const rows = [
      ['2026-11-21 16:46:33Z', 2, 'a simpler model; 30 rows are too few to tell'],
      ['2026-11-21 16:46:31Z', 11, undefined],
    ];
    expect(formatTable(['when', 'to', 'why'], rows, { maxWidth: 46 })).toEqual([
      'when                  to  why',
      '2026-11-21 16:46:33Z   2  a simpler model; 30',
      '                          rows are too few to',
      '                          tell',
      '2026-11-21 16:46:31Z  11  -',
    ]);
    // What cannot be broken stays whole, also where it does not fit.
    expect(formatTable(['id'], [['0123456789']], { maxWidth: 4 })).toEqual(['id', '0123456789']);
  });

  it('prints one JSON document and nothing else under --json', () => {
    const { terminal, out, err } = capture({ json: true, isTTY: true });
    terminal.line('text');
    terminal.note('remark');
    terminal.table(['a'], [['b']]);
    terminal.progress({ label: 'work', done: 1, total: 2 });
    terminal.document({ done: true });
    expect([out(), err()]).toEqual(['{"done":true}\n', '']);
    terminal.warn('disk is nearly full');
    expect(err()).toBe('{"warning":"disk is nearly full"}\n');
  });

  it('clears a bar that another terminal of the same output left open', () => {
    const err: string[] = [];
    const stderr = { isTTY: true, write: (text: string) => err.push(text) };
    const io = { stdout: stderr, stderr, env: { NO_COLOR: '1' }, cwd: '/' };
    createTerminal(io).progress({ label: 'upload', done: 1, detail: '1 kB' });
    createTerminal(io).closeBar();
    createTerminal(io).closeBar();
    expect(err).toEqual(['\r\u001b[Kupload 1 kB', '\r\u001b[K']);
  });

  it('redraws one bar on a terminal and clears it before text', () => {
    const { terminal, out, err } = capture({ isTTY: true, env: { NO_COLOR: '1' } });
    terminal.progress({ label: 'train', done: 1, total: 4, detail: 'logloss 0.5' });
    terminal.progress({ label: 'train', done: 2, total: 4 });
    terminal.line('done');
    expect(err()).toContain('train ██████░░░░░░░░░░░░░░░░░░  25 %  logloss 0.5');
    expect(err()).not.toContain('\n');
    expect(err().endsWith('\r\u001b[K')).toBe(true);
    expect(out()).toBe('done\n');
  });

  it('writes plain lines, few of them, where there is no terminal', () => {
    const { terminal, err } = capture();
    for (let done = 1; done <= 100; done += 1) terminal.progress({ label: 'train', done, total: 100 });
    expect(err()).toBe('train 1 %\ntrain 100 %\n');
  });

  it('writes no plain line for a step that has only begun', () => {
    const { terminal, err } = capture();
    terminal.progress({ label: 'record', done: 0, total: 1 });
    expect(err()).toBe('');
  });

  it('colours on a terminal only, and never against NO_COLOR', () => {
    expect(capture({ isTTY: true }).terminal.colors.green('x')).not.toBe('x');
    expect(capture({ isTTY: true, env: { NO_COLOR: '1' } }).terminal.colors.green('x')).toBe('x');
    expect(capture().terminal.colors.green('x')).toBe('x');
    expect(capture({ env: { FORCE_COLOR: '1' } }).terminal.colors.green('x')).not.toBe('x');
  });

  it('writes numbers, sizes and times for people', () => {
    expect([
      formatNumber(3),
      formatNumber(0.123456),
      formatNumber(1234.567),
      formatNumber(Number.NaN),
    ]).toEqual(['3', '0.1235', '1234.6', 'NaN']);
    expect([5, 5000, 5e6, 5e9].map(formatBytes)).toEqual(['5 B', '5.0 kB', '5.0 MB', '5.00 GB']);
    expect([5, 5000, 125_000].map(formatDuration)).toEqual(['5 ms', '5.0 s', '2 min 5 s']);
    expect(
      [999.7, 59_940, 59_960, 119_600, 3_599_600, 7_260_000, 86_399_999, 90_000_000].map(formatDuration),
    ).toEqual(['1.0 s', '59.9 s', '1 min', '2 min', '1 h', '2 h 1 min', '1 d', '1 d 1 h']);
    expect([formatCount(1, 'models'), formatCount(0, 'models'), formatCount(1, 'entries')]).toEqual([
      '1 model',
      '0 models',
      '1 entry',
    ]);
    expect([formatTime(0), formatTime(undefined)]).toEqual(['1970-01-01 00:00:00Z', '-']);
  });
});
