import {
  createProfile,
  encodeProfile,
  type Profile,
  type ProfileSpec,
  segmentName,
} from '../../../profiles/index.ts';
import { LATENCY_EDGES_MS, type ProfileEntry, type Variant } from '../../contract.ts';
import { isSegmentValue, MOST_SEGMENT_VALUES } from './segment-columns.ts';

export const HOUR_MS = 3_600_000;

/** What is counted together: one version in one variant, for one hour of event time. */
export interface BookKey {
  model: string;
  version: string;
  variant: Variant;
  hour: number;
}

/** A page of the book. Whoever adds to it sets `isChanged`. */
export interface BookPage {
  readonly key: BookKey;
  /** '' for all rows, else `column=value`. */
  readonly segment: string;
  readonly part: number;
  readonly profile: Profile | undefined;
  answered: number;
  failed: number;
  readonly latency: number[];
  isChanged: boolean;
  /** It is with the control plane for good: count on a new page. */
  isPutAway: boolean;
}

/** What was counted up to one moment. */
export interface BookCapture {
  /** Every page that is not put away: what a restart begins from. */
  all: ProfileEntry[];
  /** Those that have changed since they were last acknowledged. */
  changed: ProfileEntry[];
  pages: BookPage[];
  /** The part of pages that begin now. */
  part: number;
}

/** Hours before the newest one that stay open, because events come a little late. */
const OPEN_HOURS = 1;

/** Counters of all open pages together, 8 bytes and more each; hours beyond them are counted without their columns. */
export const MOST_COUNTERS = 8 * 2 ** 20;
/** Pages that may be open: a caller who makes times up begins one with each. Rows beyond them are counted nowhere. */
export const MOST_PAGES = 20_000;
/** What segments may take of them, so that the pages of all rows find room. */
const SEGMENTS_SHARE = 0.5;

/**
 * The profiles of what this process answered. Counts only grow; a report carries them whole, so that repeating it does
 * no harm. An old hour that the control plane has is put away, and when a late event comes for it, goes on under the
 * next `part`.
 */
export function createProfileBook({
  mostCounters = MOST_COUNTERS,
  mostPages = MOST_PAGES,
}: {
  mostCounters?: number;
  mostPages?: number;
} = {}) {
  let counters = 0;
  let segmentCounters = 0;
  const pages = new Map<string, BookPage>();
  /** The pages of a page's segments, by column and value. */
  const segments = new WeakMap<BookPage, Map<string, Map<string, BookPage>>>();
  const encoded = new WeakMap<BookPage, string | undefined>();
  let part = 0;
  /** What the last capture had changed. */
  let touched = new Set<BookPage>();

  function entryOf(page: BookPage): ProfileEntry {
    const { key, answered, failed, latency, profile } = page;
    if (profile !== undefined && (page.isChanged || !encoded.has(page)))
      encoded.set(page, encodeProfile(profile));
    const text = encoded.get(page);
    return {
      ...key,
      segment: page.segment,
      part: page.part,
      answered,
      failed,
      latency: [...latency],
      ...(text !== undefined && { profile: text }),
    };
  }

  function makePage(key: BookKey, segment: string, pagePart: number, profile: Profile | undefined): BookPage {
    return {
      key,
      segment,
      part: pagePart,
      profile,
      answered: 0,
      failed: 0,
      latency: noLatencies(),
      isChanged: false,
      isPutAway: false,
    };
  }

  function valuesOf(page: BookPage, column: string): Map<string, BookPage> {
    const byColumn = segments.get(page) ?? new Map<string, Map<string, BookPage>>();
    const byValue = byColumn.get(column) ?? new Map<string, BookPage>();
    if (byColumn.size === 0) segments.set(page, byColumn);
    byColumn.set(column, byValue);
    return byValue;
  }

  function* allPages(): Generator<BookPage> {
    for (const page of pages.values()) {
      yield page;
      for (const byValue of segments.get(page)?.values() ?? []) yield* byValue.values();
    }
  }

  return {
    /**
     * The page of a key, made when there is none; undefined when too many are open. `spec` says what its profile counts;
     * without one it has none.
     */
    open(key: BookKey, spec: ProfileSpec | undefined): BookPage | undefined {
      const name = `${key.hour} ${key.variant} ${key.version} ${key.model}`;
      let page = pages.get(name);
      if (page === undefined) {
        if (pages.size >= mostPages) return undefined;
        const size = spec === undefined ? 0 : countersOf(spec);
        const isProfiled = spec !== undefined && counters + size <= mostCounters;
        if (isProfiled) counters += size;
        page = makePage({ ...key }, '', part, isProfiled ? createProfile(spec) : undefined);
        pages.set(name, page);
      }
      return page;
    },

    /**
     * The page of one value of a column, of the rows that `page` counts too; undefined when the value is not counted
     * apart: it names no segment, the column has had as many values as an hour may have, or memory is short.
     */
    openSegment(page: BookPage, column: string, value: string): BookPage | undefined {
      if (page.profile === undefined) return undefined;
      const byValue = valuesOf(page, column);
      const known = byValue.get(value);
      if (known !== undefined) return known;
      if (byValue.size >= MOST_SEGMENT_VALUES || !isSegmentValue(value)) return undefined;
      const { spec } = page.profile;
      const size = countersOf(spec);
      if (counters + size > mostCounters || segmentCounters + size > mostCounters * SEGMENTS_SHARE)
        return undefined;
      counters += size;
      segmentCounters += size;
      const made = makePage(page.key, segmentName(column, value), page.part, createProfile(spec));
      byValue.set(value, made);
      return made;
    },

    get isChanged(): boolean {
      for (const page of pages.values()) if (page.isChanged) return true;
      return false;
    },

    /** What was counted until now. Each capture's changes are reported until one is acknowledged. */
    capture(): BookCapture {
      const all: ProfileEntry[] = [];
      const changed: ProfileEntry[] = [];
      const changedPages: BookPage[] = [];
      for (const page of allPages()) {
        const entry = entryOf(page);
        all.push(entry);
        if (!page.isChanged) continue;
        changed.push(entry);
        changedPages.push(page);
        page.isChanged = false;
      }
      touched = new Set(changedPages);
      return { all, changed, pages: changedPages, part };
    },

    /**
     * The control plane has all captures until now. What the last one had changed stays open, and what is new is told
     * by it alone: one event of a far future must not put away the present hour after every report.
     */
    acknowledge(): void {
      let isAnyPutAway = false;
      let newestHour = Number.NEGATIVE_INFINITY;
      for (const { key } of touched) newestHour = Math.max(newestHour, key.hour);
      const oldest = newestHour - OPEN_HOURS * HOUR_MS;
      for (const [name, page] of pages) {
        if (page.isChanged || touched.has(page) || page.key.hour >= oldest) continue;
        page.isPutAway = true;
        // Its segments go with it: nothing changes them without it.
        const held = page.profile === undefined ? 0 : countersOf(page.profile.spec);
        let count = 0;
        for (const byValue of segments.get(page)?.values() ?? []) count += byValue.size;
        counters -= held * (count + 1);
        segmentCounters -= held * count;
        pages.delete(name);
        isAnyPutAway = true;
      }
      if (isAnyPutAway) part += 1;
    },

    /** The control plane has not got this capture: its changes are told again. */
    takeBack(capture: BookCapture): void {
      for (const page of capture.pages) page.isChanged = true;
    },

    get size(): number {
      return pages.size;
    },
  };
}

export type ProfileBook = ReturnType<typeof createProfileBook>;

/** Columns of numbers have a bin for each edge and some more; those of texts one for each category, and unseen ones. */
export function countersOf({ columns }: ProfileSpec): number {
  let size = 0;
  for (const column of columns) {
    size += 72 + (column.kind === 'numeric' ? column.edges.length : column.categories.length);
  }
  return size;
}

export function noLatencies(): number[] {
  return Array.from({ length: LATENCY_EDGES_MS.length + 1 }, () => 0);
}

/** The place of a run's time among LATENCY_EDGES_MS, each edge belonging to what is below it. */
export function latencyPlace(ms: number): number {
  let place = 0;
  while (place < LATENCY_EDGES_MS.length && ms > (LATENCY_EDGES_MS[place] as number)) place += 1;
  return place;
}
