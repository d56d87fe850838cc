import type { Cause } from './find-causes.ts';

/** A cause in words, for the audit log and for people. */
export function describeCause({ kind, detail }: Pick<Cause, 'kind' | 'detail'>): string {
  switch (kind) {
    case 'first':
      return detail['attempt'] === undefined
        ? 'the model has no version yet'
        : `the model has no version yet, attempt ${said(detail['attempt'])}`;
    case 'schedule':
      return `its schedule ${said(detail['schedule'])} (${isoOf(detail['scheduled_at'])})`;
    case 'drift': {
      const columns = detail['columns'];
      const where = Array.isArray(columns) ? ` in ${columns.join(', ')}` : '';
      return `drift${where}, alarm of ${isoOf(detail['opened_at'])}`;
    }
    case 'performance':
      return `performance has fallen, alarm of ${isoOf(detail['opened_at'])}`;
    case 'newData':
      return detail['labelled_rows'] === undefined
        ? `new data: version ${said(detail['dataset_version'])} of its dataset`
        : `new data: ${said(detail['labelled_rows'])} newly labelled rows`;
    case 'webhook':
      return detail['reason'] === undefined ? 'a webhook' : `a webhook: ${said(detail['reason'])}`;
    case 'hand':
      return detail['reason'] === undefined ? 'by hand' : `by hand: ${said(detail['reason'])}`;
  }
}

const said = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? '?'));

const isoOf = (ms: unknown): string =>
  typeof ms === 'number' ? `${new Date(ms).toISOString().slice(0, 16)}Z` : '?';
