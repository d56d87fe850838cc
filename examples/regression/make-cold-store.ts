import { writeFileSync } from 'node:fs';

// Makes cold-store.csv: the electricity that an invented cold store uses in a day. Run it to get the same file again.
const random = createRandom(20_261_121);
const doors = ['manual', 'rapid', 'air curtain'];
const lines = ['date,outdoor_c,stored_tonnes,door_openings,door_type,defrosts,energy_kwh'];
for (let day = 0; day < 1200; day += 1) {
  const date = new Date(Date.UTC(2022, 0, 1 + day));
  const season = Math.sin(((day - 110) / 365.25) * 2 * Math.PI);
  const outdoor = 11 + 12 * season + 3.5 * normal();
  const isWeekend = date.getUTCDay() % 6 === 0;
  const tonnes = 400 + 120 * random() + (season > 0.4 ? 60 : 0);
  const openings = Math.round((isWeekend ? 20 : 85) + 25 * random());
  const door = doors[Math.floor(random() * 3)] ?? 'manual';
  const defrosts = 1 + Math.floor(random() * 4);
  const leak = { manual: 2.6, rapid: 1.2, 'air curtain': 1.7 }[door] ?? 0;
  const gap = Math.max(0, outdoor + 20);
  const energy =
    180 + 14 * gap + 0.22 * tonnes + openings * leak * (gap / 30) + 22 * defrosts + 18 * normal();
  // One thermometer reading in fifty is missing, as in life.
  const reading = random() < 0.02 ? '' : (Math.round(outdoor * 10) / 10 + 0).toFixed(1);
  lines.push(
    `${date.toISOString().slice(0, 10)},${reading},${tonnes.toFixed(1)},${openings},${door},${defrosts},${energy.toFixed(1)}`,
  );
}
writeFileSync(new URL('cold-store.csv', import.meta.url), `${lines.join('\n')}\n`);

/** Uniform numbers in [0, 1) from a 32-bit linear congruential generator (Numerical Recipes' constants). */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 4_294_967_296;
  };
}

/** A standard normal number, near enough: the sum of twelve uniform ones, less six. */
function normal(): number {
  let sum = -6;
  for (let i = 0; i < 12; i += 1) sum += random();
  return sum;
}
