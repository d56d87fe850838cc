import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Database } from '../../src/platform/index.ts';
import { createRandom } from '../../src/platform/index.ts';
import {
  buildReference,
  columnOf,
  createProfile,
  encodeProfile,
  encodeReference,
  type ProfileSpec,
  takeRows,
} from '../../src/profiles/index.ts';
import type { ProfileEntry } from '../../src/serving/contract.ts';
import { tempDir } from './temp-dir.ts';
import { tamperWith } from './test-database.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

export const CITIES = ['LAX', 'SFO', 'DEN', 'ORD', 'JFK'];

export interface DrawnDay {
  seed: number;
  rows: number;
  shift?: number;
  missing?: number;
  /** Rows of this city alone are shifted. */
  shiftIn?: string;
}

/** Rows of the columns `amount` and `city`, and the score. */
export function drawDay({ seed, rows, shift = 0, missing = 0, shiftIn }: DrawnDay) {
  const random = createRandom(seed);
  const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  const drawn = {
    amount: Float64Array.from({ length: rows }, () => (random() < missing ? Number.NaN : normal())),
    city: Array.from({ length: rows }, () => CITIES[Math.floor(random() ** 2 * CITIES.length)]!),
    score: Float64Array.from({ length: rows }, () => random()),
  };
  const isShifted = (row: number) => shiftIn === undefined || drawn.city[row] === shiftIn;
  return { ...drawn, amount: drawn.amount.map((value, row) => (isShifted(row) ? value + shift : value)) };
}

/** A reference of forty days of 500 rows, as a file; the rows of each city are counted apart too. */
export function writeReference(): { spec: ProfileSpec; path: string } {
  const days = Array.from({ length: 40 }, (_, day) => drawDay({ seed: 1000 + day, rows: 500 }));
  const join2 = (pick: (day: ReturnType<typeof drawDay>) => Float64Array) =>
    Float64Array.from(days.flatMap((day) => [...pick(day)]));
  const rows = 40 * 500;
  const reference = buildReference([
    {
      columns: [
        { name: 'amount', values: columnOf(join2((day) => day.amount)) },
        { name: 'city', values: columnOf(days.flatMap((day) => day.city)) },
        { name: '@score', values: columnOf(join2((day) => day.score)) },
      ],
      rows,
      times: Float64Array.from({ length: rows }, (_, row) => Math.floor(row / 500) * DAY_MS),
      segmentColumns: [
        {
          name: 'city',
          codes: days.flatMap((day) => day.city.map((city) => CITIES.indexOf(city))),
          labels: CITIES,
        },
      ],
    },
  ]);
  const path = join(tempDir(), 'reference.json');
  writeFileSync(path, encodeReference(reference));
  return { spec: reference.spec, path };
}

/** What a model server reports of a day: all its rows in the day's first hour, or those of a city. */
export function entryOf(
  spec: ProfileSpec,
  { day, only, ...drawn }: DrawnDay & { day: number; only?: string },
  change: Partial<ProfileEntry> = {},
): ProfileEntry {
  const profile = createProfile(spec);
  const { amount, city, score } = drawDay(drawn);
  const kept = [...city.keys()].filter((row) => only === undefined || city[row] === only);
  const values = [columnOf(amount), columnOf(city), columnOf(score)];
  profile.add(
    kept.length,
    values.map((column) => takeRows(column, kept)),
  );
  return {
    model: 'flights',
    version: '1',
    variant: 'champion',
    hour: day * DAY_MS,
    segment: only === undefined ? '' : `city=${only}`,
    part: 0,
    answered: kept.length,
    failed: 0,
    latency: Array.from({ length: 17 }, () => 0),
    profile: encodeProfile(profile),
    ...change,
  };
}

/** Registers versions of a model without a file, for tests that never run it; the first one serves. */
export async function registerWatched(database: Database, model: string, versions: number): Promise<void> {
  const rows = Array.from(
    { length: versions },
    (_, i) =>
      `('${model}', ${i + 1}, '', '', 'None', '', '', '', 0, 0, 1, null, 'sha-${i + 1}', 1, null, 'binary', null)`,
  );
  // In one go: each call opens a connection of its own.
  await tamperWith(
    database,
    `insert into registered_models (name, description, creation_time, last_updated_time, last_version)
       values ('${model}', '', 0, 0, ${versions});
     insert into model_versions (name, version, description, user_id, stage, source, run_id, run_link,
       creation_time, last_updated_time, servable, not_servable_reason, sha256, size_bytes, framework, task, heldout_sha256)
       values ${rows.join(', ')};
     ${serve(model, 1)}`,
  );
}

/** Makes a version the champion. */
export async function serveWatched(database: Database, model: string, version: number): Promise<void> {
  await tamperWith(database, serve(model, version));
}

const serve = (model: string, version: number) =>
  `delete from model_aliases where name = '${model}';
   insert into model_aliases (name, alias, version) values ('${model}', 'champion', ${version});
   update serving_revision set revision = revision + 1`;
