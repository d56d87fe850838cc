/** The report's style: readable in light, in dark and on paper. */
export const REPORT_STYLE = `
:root { --ground: #ffffff; --ink: #1b1f24; --soft: #57606a; --line: #d6dbe1; --panel: #f6f8fa; --ref: #9aa7b4; --cur: #b1450f; --bad: #a3260e; --mark: #fdf0e8; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14181d; --ink: #e6eaee; --soft: #a3adb7; --line: #343b44; --panel: #1c2229; --ref: #5f6d7b; --cur: #ff9a5c; --bad: #ff9d85; --mark: #33231b; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem; background: var(--ground); color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .5rem; display: flex; justify-content: space-between; gap: 1rem; overflow-wrap: anywhere; }
.verdict { font-size: 1.05rem; margin: 0; }
.note { color: var(--soft); max-width: 60rem; }
a { color: inherit; }
a:focus-visible, summary:focus-visible { outline: 2px solid var(--cur); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line); vertical-align: top; font-weight: 400; }
thead th { color: var(--soft); font-size: .85rem; }
.n { text-align: right; white-space: nowrap; }
.status { white-space: nowrap; }
tr.drifted { background: var(--mark); }
tr.drifted .status, .card.drifted h3 .status { color: var(--bad); font-weight: 600; }
.not-tested .status, .same .status { color: var(--soft); font-weight: 400; }
.wide { overflow-x: auto; }
.cards { display: grid; grid-template-columns: repeat(auto-fill, minmax(21rem, 1fr)); gap: 1rem; }
.card { background: var(--panel); border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; min-width: 0; }
.small { font-size: .85rem; margin-top: .5rem; }
.small th, .small td { padding: .15rem .4rem; }
figure { margin: 0; }
svg { width: 100%; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11px; }
svg .ref { fill: var(--ref); }
svg .cur { fill: none; stroke: var(--cur); stroke-width: 2; }
svg .cur-bar { fill: var(--cur); }
svg .axis { stroke: var(--line); }
dl { display: grid; grid-template-columns: minmax(8rem, max-content) 1fr; gap: .35rem 1.25rem; max-width: 60rem; font-size: .9rem; }
dt { font-weight: 600; }
dd { margin: 0; color: var(--soft); }
.key { color: var(--soft); margin: 0 0 .75rem; }
.swatch { display: inline-block; width: .9em; height: .9em; vertical-align: -.1em; margin-left: .75em; }
.swatch.ref { background: var(--ref); margin-left: 0; }
.swatch.cur { background: var(--cur); }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; margin: .5rem 0; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  .cards { grid-template-columns: 1fr 1fr; }
  .card { break-inside: avoid; background: none; }
  thead { display: table-header-group; }
  tr, dd { break-inside: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
`;
