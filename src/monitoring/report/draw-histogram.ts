import type { ColumnReport } from './report.ts';

type Histogram = NonNullable<ColumnReport['histogram']>;

const WIDTH = 360;
const HEIGHT = 130;
const AXIS = 18;
/** Bars of equal width that a histogram of numbers is drawn with. */
const BARS = 30;

/** Two distributions over each other as SVG; the figures stand in a table beside it. */
export function drawHistogram(name: string, histogram: Histogram): string {
  return histogram.kind === 'number' ? drawNumbers(name, histogram) : drawCategories(name, histogram);
}

function drawNumbers(
  name: string,
  { edges, reference, current }: Extract<Histogram, { kind: 'number' }>,
): string {
  const [from, to] = shownRange(edges, reference);
  if (!(to > from)) return '';
  const before = spread(edges, reference, from, to);
  const now = spread(edges, current, from, to);
  const top = Math.max(...before, ...now, 1e-9);
  const x = (bar: number) => ((bar * WIDTH) / BARS).toFixed(1);
  const y = (share: number) => (HEIGHT - AXIS - (share / top) * (HEIGHT - AXIS - 6)).toFixed(1);
  const steps = (shares: number[]) =>
    shares.map((share, bar) => `L${x(bar)} ${y(share)}L${x(bar + 1)} ${y(share)}`).join('');
  const base = HEIGHT - AXIS;
  return `<svg viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${escapeHtml(`Distribution of ${name}: reference and current`)}">
<path class="ref" d="M0 ${base}${steps(before)}L${WIDTH} ${base}Z"/>
<path class="cur" d="M0 ${base}${steps(now)}L${WIDTH} ${base}"/>
<line class="axis" x1="0" x2="${WIDTH}" y1="${base}" y2="${base}"/>
<text x="0" y="${HEIGHT - 4}">${showNumber(from)}</text><text x="${WIDTH / 2}" y="${HEIGHT - 4}" text-anchor="middle">${showNumber((from + to) / 2)}</text><text x="${WIDTH}" y="${HEIGHT - 4}" text-anchor="end">${showNumber(to)}</text>
</svg>`;
}

/** The outermost of many bins may reach to far extremes, and would leave no room for the others. */
function shownRange(edges: number[], shares: number[]): [number, number] {
  const widths = shares.map((_, bin) => edges[bin + 1]! - edges[bin]!);
  const usual = widths.toSorted((a, b) => a - b)[Math.floor(widths.length / 2)]!;
  const isFar = (bin: number) => widths.length > 20 && widths[bin]! > 4 * usual && shares[bin]! < 0.05;
  const last = widths.length - 1;
  return [edges[isFar(0) ? 1 : 0]!, edges[isFar(last) ? last : last + 1]!];
}

/** The shares of uneven bins dealt to bars of equal width, as if each bin were even inside. */
function spread(edges: number[], shares: number[], from: number, to: number): number[] {
  const bars = Array.from({ length: BARS }, () => 0);
  const width = (to - from) / BARS;
  for (const [bin, share] of shares.entries()) {
    const low = edges[bin]!;
    const high = edges[bin + 1]!;
    if (share === 0 || high <= from || low >= to) continue;
    const first = Math.max(0, Math.floor((low - from) / width));
    const last = Math.min(BARS - 1, Math.floor((high - from) / width));
    for (let bar = first; bar <= last; bar++) {
      const inside = Math.min(high, from + (bar + 1) * width) - Math.max(low, from + bar * width);
      if (inside > 0) bars[bar]! += (share * inside) / (high - low);
    }
  }
  return bars;
}

function drawCategories(
  name: string,
  { labels, reference, current }: Extract<Histogram, { kind: 'category' }>,
): string {
  const row = 18;
  const left = 120;
  const height = labels.length * row + 4;
  const top = Math.max(...reference, ...current, 1e-9);
  const width = (share: number) => ((share / top) * (WIDTH - left - 6)).toFixed(1);
  const bars = labels.map((label, i) => {
    const at = i * row + 2;
    const shown = label.length > 17 ? `${label.slice(0, 16)}…` : label;
    return `<text x="${left - 6}" y="${at + 12}" text-anchor="end">${escapeHtml(shown)}<title>${escapeHtml(label)}</title></text><rect class="ref" x="${left}" y="${at}" width="${width(reference[i]!)}" height="7"/><rect class="cur-bar" x="${left}" y="${at + 8}" width="${width(current[i]!)}" height="6"/>`;
  });
  return `<svg viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escapeHtml(`Shares of ${name}: reference and current`)}">
${bars.join('\n')}
</svg>`;
}

export function showNumber(value: number | undefined): string {
  if (value === undefined) return '';
  if (Number.isInteger(value) && Math.abs(value) < 1e12) return String(value);
  return Math.abs(value) >= 1e6 || (value !== 0 && Math.abs(value) < 1e-4)
    ? value.toExponential(2)
    : String(Number(value.toPrecision(4)));
}

export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}
