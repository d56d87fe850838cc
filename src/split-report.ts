import type { ReportProfiles } from './serving/index.ts';

type ProfileReport = Parameters<ReportProfiles>[1];

/** A control plane takes 64 MiB at once; this is far below, so that it need not hold much. */
const PART_CHARACTERS = 8 * 2 ** 20;
/** About what an entry is beside its profile. */
const ENTRY_CHARACTERS = 500;

/** A report of many hours as several, each small enough; the watermark goes with the last, when all else is told. */
export function splitReport(report: ProfileReport, partCharacters = PART_CHARACTERS): ProfileReport[] {
  const parts: ProfileReport['entries'][] = [[]];
  let characters = 0;
  for (const entry of report.entries) {
    const more = ENTRY_CHARACTERS + (entry.profile?.length ?? 0);
    if (characters > 0 && characters + more > partCharacters) {
      parts.push([]);
      characters = 0;
    }
    parts.at(-1)?.push(entry);
    characters += more;
  }
  return parts.map((entries, i) => ({
    ...report,
    watermark: i === parts.length - 1 ? report.watermark : null,
    entries,
  }));
}
