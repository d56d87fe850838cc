import type { HttpClient } from '../http/http-client.ts';

interface AlarmDocument {
  kind: string;
  column?: string;
  opened_at: number;
}
interface DecisionDocument {
  kind: 'gate' | 'shadow' | 'canary' | 'watch' | 'hand';
  version: string;
  verdict: string;
  outcome: string;
  at: number;
}
interface MoveDocument {
  action: string;
  from?: string;
  to?: string;
  at: number;
}

/** What the platform has on record for a span of time, as texts that begin with the day, such as `04-03 performance`. */
export interface PlatformEvents {
  /** Alarms that were opened. */
  alarms: string[];
  /** Verdicts of the gate, rollouts that were paused or stopped by their evidence, and moves of what serves. */
  decisions: string[];
}

/** Outcomes of a step that keep a version from going on. */
const HALTS: Partial<Record<string, string>> = { paused: 'paused', undone: 'stopped' };

/** Reads what happened to a model in `[from, to)`, milliseconds of the platform's clock, in the order of time. */
export async function readEvents(
  client: HttpClient,
  model: string,
  from: number,
  to: number,
): Promise<PlatformEvents> {
  const path = `/api/v1/models/${encodeURIComponent(model)}`;
  const [{ alarms }, { decisions }, { history }] = await Promise.all([
    client.get<{ alarms: AlarmDocument[] }>(`${path}/alarms`, { limit: 500 }),
    client.get<{ decisions: DecisionDocument[] }>(`${path}/decisions`, { limit: 500 }),
    client.get<{ history: MoveDocument[] }>(path),
  ]);
  const told = (events: { at: number; text: string }[]) =>
    events
      .filter(({ at }) => at >= from && at < to)
      .sort((a, b) => a.at - b.at)
      .map(({ at, text }) => `${new Date(at).toISOString().slice(5, 10)} ${text}`);
  const verdicts = decisions
    .filter(({ kind }) => kind === 'gate')
    .map(({ version, verdict, at }) => ({ at, text: `v${version} ${verdict}` }));
  const halts = decisions.flatMap(({ kind, version, outcome, at }) => {
    const word = kind === 'canary' || kind === 'shadow' ? HALTS[outcome] : undefined;
    return word === undefined ? [] : { at, text: `v${version} rollout ${word}` };
  });
  const moves = history.map(({ action, from: before, to: after, at }) => ({
    at,
    text: action === 'promote' ? `v${after} champion` : `v${before} undone`,
  }));
  return {
    alarms: told(
      alarms.map(({ kind, column, opened_at }) => ({
        at: opened_at,
        text: column === undefined ? kind : `drift of ${column}`,
      })),
    ),
    decisions: told([...verdicts, ...halts, ...moves]),
  };
}
