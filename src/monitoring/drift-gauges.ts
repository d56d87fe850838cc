import type { Gauge, Labels, Metrics } from '../platform/index.ts';
import type { Alarm } from './alarms/alarm.ts';
import type { MonitorWindow, WindowPerformance } from './windows/window-store.ts';

/** What Prometheus sees of the newest windows. What is not known has no series: a gap is no zero. */
export function createDriftGauges(metrics: Metrics) {
  const byTest = ['model', 'column', 'aspect'] as const;
  const byVersion = ['model', 'version', 'metric'] as const;
  const gauges = {
    p: metrics.gauge({
      name: 'tidemill_drift_p',
      help: 'p of the newest window against the reference, with day effects',
      labelNames: byTest,
    }),
    psi: metrics.gauge({
      name: 'tidemill_drift_psi',
      help: 'Population stability index of the newest window',
      labelNames: byTest,
    }),
    logM: metrics.gauge({
      name: 'tidemill_drift_log_m',
      help: 'Logarithm of the accumulated evidence of drift; the alarm is at the logarithm of 1000 times the tests',
      labelNames: byTest,
    }),
    rate: metrics.gauge({
      name: 'tidemill_column_rate',
      help: 'Quality of the newest window: the share of rows in which the column is missing, or has a value that the reference does not have',
      labelNames: byTest,
    }),
    rows: metrics.gauge({
      name: 'tidemill_window_rows',
      help: 'Rows of the newest closed window',
      labelNames: ['model', 'version'],
    }),
    untested: metrics.gauge({
      name: 'tidemill_windows_untested',
      help: 'Newest windows in a row, if more than one, that were not tested for drift',
      labelNames: ['model'],
    }),
    performance: metrics.gauge({
      name: 'tidemill_performance',
      help: 'The metric of the newest window with labels',
      labelNames: byVersion,
    }),
    coverage: metrics.gauge({
      name: 'tidemill_label_coverage',
      help: 'Share of the rows of the newest measured window that have a label',
      labelNames: ['model', 'version'],
    }),
    alarms: metrics.gauge({
      name: 'tidemill_open_alarms',
      help: 'Alarms that are open',
      labelNames: ['model', 'kind'],
    }),
    dropped: metrics.gauge({
      name: 'tidemill_server_log_dropped',
      help: 'Log entries that a model server had to drop, as it has reported so far',
      labelNames: ['replica'],
    }),
  };
  const shown = new Map<string, { gauge: Gauge; labels: Labels }[]>();

  /** Replaces all that was shown of a model in one respect. */
  function show(
    respect: string,
    series: { gauge: Gauge; labels: Labels; value: number | undefined }[],
  ): void {
    for (const { gauge, labels } of shown.get(respect) ?? []) gauge.remove(labels);
    const known = series.filter(({ value }) => value !== undefined && !Number.isNaN(value));
    for (const { gauge, labels, value } of known) gauge.set(labels, value as number);
    shown.set(respect, known);
  }

  return {
    showWindow(
      window: Pick<MonitorWindow, 'model' | 'version' | 'rows' | 'tests'>,
      sequences: { kind: string; column: string; aspect: string; logM: number | undefined }[],
    ): void {
      const { model, version } = window;
      show(`window ${model}`, [
        { gauge: gauges.rows, labels: { model, version }, value: window.rows },
        ...window.tests.flatMap(({ column, aspect, p, psi, rate }) => {
          const labels = { model, column, aspect };
          return [
            { gauge: gauges.p, labels, value: p },
            { gauge: gauges.psi, labels, value: psi },
            { gauge: gauges.rate, labels, value: rate },
          ];
        }),
        ...sequences
          .filter(({ kind }) => kind === 'drift')
          .map(({ column, aspect, logM }) => ({
            gauge: gauges.logM,
            labels: { model, column, aspect },
            value: logM,
          })),
      ]);
    },

    showUntested(model: string, windows: number): void {
      gauges.untested.set({ model }, windows);
    },

    showPerformance(model: string, version: string, performance: WindowPerformance): void {
      const { metric, value, rows, labelled } = performance;
      show(`performance ${model}`, [
        { gauge: gauges.performance, labels: { model, version, metric }, value },
        {
          gauge: gauges.coverage,
          labels: { model, version },
          value: rows > 0 ? labelled / rows : undefined,
        },
      ]);
    },

    showDropped(servers: readonly { replica: string; dropped: number }[]): void {
      for (const { replica, dropped } of servers) gauges.dropped.set({ replica }, dropped);
    },

    showAlarms(model: string, open: readonly Alarm[]): void {
      show(
        `alarms ${model}`,
        (['drift', 'performance'] as const).map((kind) => ({
          gauge: gauges.alarms,
          labels: { model, kind },
          value: open.filter((alarm) => alarm.kind === kind).length,
        })),
      );
    },
  };
}
