import { compareScores, type ScoreComparison, type Scored } from './compare-scores.ts';
import { type PlatformEvents, readEvents } from './read-events.ts';
import { type ReplayOptions, type ReplayStep, replayTable } from './replay-table.ts';

const DAY_MS = 86_400_000;

/** What came of a week that was lived through: requests, what the platform noticed and decided, how good it was. */
export interface ReplayWeek extends PlatformEvents, ScoreComparison {
  /** Its Monday, as a date. */
  week: string;
  requests: number;
  labels: number;
  errors: number;
  /** What the scores are of; not for people. */
  scored: Scored[];
}

export interface ReplayWeeksOptions extends ReplayOptions {
  /** What one version alone says to each row, for a target of true and false; without it nothing is scored. */
  unchanged?: Float64Array;
  /** Hears of each step: its first moment, the rows sent so far, the week under way, and how many labels come later. */
  onStep?: (step: {
    from: number;
    sent: number;
    week: ReplayWeek;
    labelsLater: number;
    aheadMs?: number | undefined;
  }) => void;
}

/** Replays a dated table as `replayTable` does, and yields each week when it is over. */
export async function* replayWeeks(options: ReplayWeeksOptions): AsyncGenerator<ReplayWeek> {
  const { unchanged, onStep, client, model } = options;
  let week: ReplayWeek | undefined;
  let sent = 0;
  const close = async (open: ReplayWeek, end: number): Promise<ReplayWeek> => {
    const from = Date.parse(open.week);
    const events = await readEvents(client, model, from, Math.min(end, from + 7 * DAY_MS));
    return { ...open, ...events, ...compareScores(open.scored) };
  };
  for await (const step of replayTable(options)) {
    const monday = mondayOf(step.from);
    if (week !== undefined && week.week !== monday) {
      yield await close(week, step.from);
      week = undefined;
    }
    week ??= emptyWeek(monday);
    addStep(week, step);
    for (const { row, answer } of step.rows) {
      const answered = answer?.probabilities?.['true'];
      if (unchanged !== undefined && answered !== undefined)
        week.scored.push({ isTrue: row.label === true, answered, unchanged: unchanged[sent] as number });
      sent += 1;
    }
    onStep?.({ from: step.from, sent, week, labelsLater: step.labelsLater, aheadMs: step.aheadMs });
  }
  if (week !== undefined) yield await close(week, Number.POSITIVE_INFINITY);
}

function emptyWeek(week: string): ReplayWeek {
  return {
    week,
    requests: 0,
    labels: 0,
    errors: 0,
    alarms: [],
    decisions: [],
    scored: [],
    ...compareScores([]),
  };
}

function addStep(week: ReplayWeek, step: ReplayStep): void {
  week.requests += step.rows.length;
  week.labels += step.labels;
  week.errors += step.errors;
}

/** The Monday of the week that a moment lies in, as a date; 1970 began on a Thursday. */
export function mondayOf(ms: number): string {
  const day = Math.floor(ms / DAY_MS);
  return new Date((day - ((((day + 3) % 7) + 7) % 7)) * DAY_MS).toISOString().slice(0, 10);
}
