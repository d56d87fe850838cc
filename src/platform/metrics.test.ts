import { expect, it } from 'vitest';
import { createMetrics } from './index.ts';

/** The rendered lines of one metric, without comments. */
function linesOf(text: string, name: string): string[] {
  return text.split('\n').filter((line) => line.startsWith(name));
}

it('renders counters, with the labels in their declared order and escaped', () => {
  const metrics = createMetrics('tidemill_');
  const counter = metrics.counter({ name: 'rows_total', help: 'Rows\nread.', labelNames: ['table', 'kind'] });
  counter.inc({ kind: 'a"b\\c\n', table: 't' }, 2);
  counter.labels('t', 'a"b\\c\n').inc();
  counter.labels({ table: 'u', kind: 1 }).inc(0.5);
  expect(metrics.render()).toContain(
    '# HELP tidemill_rows_total Rows\\nread.\n# TYPE tidemill_rows_total counter\n' +
      'tidemill_rows_total{table="t",kind="a\\"b\\\\c\\n"} 3\n' +
      'tidemill_rows_total{table="u",kind="1"} 0.5\n',
  );
});

it('starts metrics without labels at zero, so that a rate is known from the start', () => {
  const metrics = createMetrics();
  const counter = metrics.counter({ name: 'jobs_total', help: 'Jobs.' });
  expect(linesOf(metrics.render(), 'jobs_total')).toEqual(['jobs_total 0']);
  counter.inc();
  counter.inc(2);
  expect(linesOf(metrics.render(), 'jobs_total')).toEqual(['jobs_total 3']);
  expect(() => counter.inc(-1)).toThrow('cannot grow by -1');
});

it('sets gauges, also at the scrape, and forgets removed series', () => {
  const metrics = createMetrics();
  const gauge = metrics.gauge({ name: 'loaded', help: 'Models.', labelNames: ['model'] });
  gauge.set({ model: 'a' }, 1);
  gauge.labels('b').inc(3);
  gauge.dec({ model: 'b' });
  gauge.inc({ model: 'c' });
  gauge.remove({ model: 'a' });
  expect(linesOf(metrics.render(), 'loaded')).toEqual(['loaded{model="b"} 2', 'loaded{model="c"} 1']);
  gauge.reset();
  expect(linesOf(metrics.render(), 'loaded')).toEqual([]);
  let depth = 1;
  metrics.gauge({ name: 'depth', help: 'Waiting.', collect: (it) => it.set(depth) });
  depth = Number.POSITIVE_INFINITY;
  expect(linesOf(metrics.render(), 'depth')).toEqual(['depth +Inf']);
});

it('counts observations in cumulative buckets whose bounds are included', () => {
  const metrics = createMetrics();
  const histogram = metrics.histogram({
    name: 'seconds',
    help: 'Time.',
    labelNames: ['m'],
    buckets: [1, 0.1],
  });
  const child = histogram.labels('x');
  for (const value of [0.05, 0.1, 0.5, 7]) child.observe(value);
  histogram.observe({ m: 'x' }, 1);
  expect(linesOf(metrics.render(), 'seconds')).toEqual([
    'seconds_bucket{m="x",le="0.1"} 2',
    'seconds_bucket{m="x",le="1"} 4',
    'seconds_bucket{m="x",le="+Inf"} 5',
    'seconds_sum{m="x"} 8.65',
    'seconds_count{m="x"} 5',
  ]);
});

it('gives the same metric for the same name, and refuses another one under it', () => {
  const metrics = createMetrics();
  metrics.counter({ name: 'a_total', help: 'A.', labelNames: ['x'] }).inc({ x: 1 });
  metrics.counter({ name: 'a_total', help: 'A.', labelNames: ['x'] }).inc({ x: 1 });
  expect(linesOf(metrics.render(), 'a_total')).toEqual(['a_total{x="1"} 2']);
  expect(() => metrics.gauge({ name: 'a_total', help: 'A.', labelNames: ['x'] })).toThrow(
    'a_total exists already',
  );
  expect(() => metrics.counter({ name: 'a b', help: '' })).toThrow('"a b" is not valid');
  expect(() => metrics.counter({ name: 'ok', help: '', labelNames: ['le-'] })).toThrow('"le-" is not valid');
  expect(() => metrics.counter({ name: 'b_total', help: '', labelNames: ['x'] }).inc()).toThrow(
    'needs the label x',
  );
});

it("tells the process's own memory, CPU time and start", () => {
  const text = createMetrics().render();
  for (const name of [
    'process_cpu_seconds_total',
    'process_resident_memory_bytes',
    'process_start_time_seconds',
  ]) {
    const value = Number(linesOf(text, name)[0]?.split(' ')[1]);
    expect(value).toBeGreaterThan(0);
  }
});
