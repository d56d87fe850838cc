import { formatNumber } from './format-values.ts';

/** Those that tell most, first: what a loss or an error means depends on the data, a rank does not. */
const FIRST = ['roc_auc', 'log_loss', 'accuracy', 'r2', 'rmse', 'mae'];
const SHOWN = 3;

/** The most telling metrics of a run or version in one line; those of a guess and of the training rows are left out. */
export function showFirstMetrics(metrics: Record<string, number | string>): string {
  const place = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.entries(metrics)
    .filter(([name]) => !name.startsWith('baseline_') && !name.startsWith('training_'))
    .sort(([a], [b]) => place(a) - place(b) || (a < b ? -1 : 1))
    .slice(0, SHOWN)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? formatNumber(value) : value}`)
    .join(' ');
}
