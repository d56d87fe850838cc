import { processMetrics } from './process-metrics.ts';

export type Labels = Record<string, string | number>;

export interface MetricOptions {
  /** Snake case; counters end in `_total`, units are base units (`_seconds`, `_bytes`). */
  name: string;
  help: string;
  labelNames?: readonly string[];
}

export interface Counter {
  inc(labels?: Labels | number, by?: number): void;
  /** The series of these label values, in the order of `labelNames` or by name. Keep it: using it costs an addition. */
  labels(...values: (string | number)[] | [Labels]): { inc(by?: number): void };
  remove(labels: Labels): void;
}

export interface Gauge {
  set(labels: Labels | number, value?: number): void;
  inc(labels?: Labels | number, by?: number): void;
  dec(labels?: Labels | number, by?: number): void;
  labels(...values: (string | number)[] | [Labels]): {
    set(value: number): void;
    inc(by?: number): void;
    dec(by?: number): void;
  };
  remove(labels: Labels): void;
  reset(): void;
}

export interface Histogram {
  observe(labels: Labels | number, value?: number): void;
  labels(...values: (string | number)[] | [Labels]): { observe(value: number): void };
  remove(labels: Labels): void;
}

/** A registry of metrics, rendered in the Prometheus text format 0.0.4. */
export interface Metrics {
  readonly contentType: string;
  counter(options: MetricOptions): Counter;
  /** `collect` runs at each scrape, to set values that are cheaper to read then than to keep up to date. */
  gauge(options: MetricOptions & { collect?: (gauge: Gauge) => void }): Gauge;
  histogram(options: MetricOptions & { buckets?: readonly number[] }): Histogram;
  render(): string;
}

/** Upper bounds in seconds: from an inline prediction (250 µs) to a slow upload. */
export const DURATION_BUCKETS = [
  0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
] as const;

interface Family {
  render(): string;
}

const METRIC_NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;
const LABEL_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/**
 * A registry. Its series are plain numbers in memory, rendered at the scrape, because prom-client hashes the labels
 * at every observation and costs 13 to 18 ms at start.
 *
 * @param prefix put before every metric's name, for example `tidemill_`; the process's own metrics have none.
 */
export function createMetrics(prefix = ''): Metrics {
  const families = new Map<string, { kind: string; options: MetricOptions; family: Family }>();

  /** The same name twice gives the same metric, so that two users of one app may share it. */
  function register<T extends Family>(kind: string, options: MetricOptions, create: (name: string) => T): T {
    const name = prefix + options.name;
    const known = families.get(name);
    if (known) {
      const labels = (names: readonly string[] = []) => names.join();
      if (known.kind !== kind || labels(known.options.labelNames) !== labels(options.labelNames)) {
        throw new Error(`Metric ${name} exists already as a ${known.kind} with other labels`);
      }
      return known.family as T;
    }
    if (!METRIC_NAME.test(name)) throw new Error(`Metric name ${JSON.stringify(name)} is not valid`);
    for (const label of options.labelNames ?? []) {
      if (!LABEL_NAME.test(label)) throw new Error(`Label name ${JSON.stringify(label)} is not valid`);
    }
    const family = create(name);
    families.set(name, { kind, options, family });
    return family;
  }

  return {
    contentType: 'text/plain; version=0.0.4; charset=utf-8',
    counter: (options) => register('counter', options, (name) => createCounter(name, options)),
    gauge: (options) => register('gauge', options, (name) => createGauge(name, options)),
    histogram: (options) => register('histogram', options, (name) => createHistogram(name, options)),
    render() {
      let text = '';
      for (const { family } of families.values()) text += family.render();
      return text + processMetrics();
    },
  };
}

/** The series of one metric by label values; the key is the rendered `a="x",b="y"`, so that rendering is a join. */
function createSeries<T>(options: MetricOptions, create: () => T) {
  const names = options.labelNames ?? [];
  const series = new Map<string, T>();

  function keyOf(labels: Labels): string {
    let key = '';
    for (const name of names) {
      const value = labels[name];
      if (value === undefined) throw new Error(`Metric ${options.name} needs the label ${name}`);
      key += `${key === '' ? '' : ','}${name}="${escapeLabel(value)}"`;
    }
    return key;
  }

  function at(key: string): T {
    let found = series.get(key);
    if (found === undefined) {
      found = create();
      series.set(key, found);
    }
    return found;
  }

  if (names.length === 0) at('');

  return {
    series,
    of: (labels: Labels) => at(keyOf(labels)),
    child: (values: (string | number)[] | [Labels]): T => {
      const first = values[0];
      if (typeof first === 'object') return at(keyOf(first));
      return at(keyOf(Object.fromEntries(names.map((name, i) => [name, values[i] as string | number]))));
    },
    remove: (labels: Labels): void => {
      series.delete(keyOf(labels));
    },
  };
}

const NO_LABELS: Labels = {};

class Value {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
  dec(by = 1): void {
    this.value -= by;
  }
  set(value: number): void {
    this.value = value;
  }
}

class MonotoneValue {
  value = 0;
  inc(by = 1): void {
    if (!(by >= 0)) throw new Error(`A counter cannot grow by ${by}`);
    this.value += by;
  }
}

function createCounter(name: string, options: MetricOptions): Counter & Family {
  const { series, of, child, remove } = createSeries(options, () => new MonotoneValue());
  return {
    inc(labels = NO_LABELS, by = 1) {
      if (typeof labels === 'number') of(NO_LABELS).inc(labels);
      else of(labels).inc(by);
    },
    labels: (...values) => child(values),
    remove,
    render: () => header(name, options.help, 'counter') + valueLines(name, series),
  };
}

function createGauge(
  name: string,
  options: MetricOptions & { collect?: (gauge: Gauge) => void },
): Gauge & Family {
  const { series, of, child, remove } = createSeries(options, () => new Value());
  const gauge: Gauge & Family = {
    set(labels, value) {
      if (typeof labels === 'number') of(NO_LABELS).set(labels);
      else of(labels).set(value as number);
    },
    inc(labels = NO_LABELS, by = 1) {
      if (typeof labels === 'number') of(NO_LABELS).inc(labels);
      else of(labels).inc(by);
    },
    dec(labels = NO_LABELS, by = 1) {
      if (typeof labels === 'number') of(NO_LABELS).dec(labels);
      else of(labels).dec(by);
    },
    labels: (...values) => child(values),
    remove,
    reset: () => series.clear(),
    render() {
      options.collect?.(gauge);
      return header(name, options.help, 'gauge') + valueLines(name, series);
    },
  };
  return gauge;
}

class Distribution {
  readonly bounds: readonly number[];
  readonly counts: Float64Array;
  sum = 0;
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }
  observe(value: number): void {
    const { bounds, counts } = this;
    let i = 0;
    while (i < bounds.length && value > (bounds[i] as number)) i++;
    counts[i] = (counts[i] as number) + 1;
    this.sum += value;
  }
}

function createHistogram(
  name: string,
  options: MetricOptions & { buckets?: readonly number[] },
): Histogram & Family {
  const bounds = [...(options.buckets ?? DURATION_BUCKETS)].sort((a, b) => a - b);
  const { series, of, child, remove } = createSeries(options, () => new Distribution(bounds));
  return {
    observe(labels, value) {
      if (typeof labels === 'number') of(NO_LABELS).observe(labels);
      else of(labels).observe(value as number);
    },
    labels: (...values) => child(values),
    remove,
    render() {
      let text = header(name, options.help, 'histogram');
      for (const [key, { counts, sum }] of series) {
        const comma = key === '' ? '' : ',';
        const braces = key === '' ? '' : `{${key}}`;
        let cumulative = 0;
        for (let i = 0; i < counts.length; i++) {
          cumulative += counts[i] as number;
          const bound = i < bounds.length ? number(bounds[i] as number) : '+Inf';
          text += `${name}_bucket{${key}${comma}le="${bound}"} ${cumulative}\n`;
        }
        text += `${name}_sum${braces} ${number(sum)}\n${name}_count${braces} ${cumulative}\n`;
      }
      return text;
    },
  };
}

function header(name: string, help: string, type: string): string {
  const escaped = help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n');
  return `# HELP ${name} ${escaped}\n# TYPE ${name} ${type}\n`;
}

function valueLines(name: string, series: Map<string, { value: number }>): string {
  let text = '';
  for (const [key, { value }] of series) text += `${name}${key === '' ? '' : `{${key}}`} ${number(value)}\n`;
  return text;
}

function number(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Number.POSITIVE_INFINITY) return '+Inf';
  if (value === Number.NEGATIVE_INFINITY) return '-Inf';
  return String(value);
}

function escapeLabel(value: string | number): string {
  const text = String(value);
  return /["\\\n]/.test(text)
    ? text.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')
    : text;
}
