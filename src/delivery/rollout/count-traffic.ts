import type { DeliveryDeps, VariantCounts } from '../delivery-deps.ts';

const HOUR_MS = 3_600_000;
const NOTHING: VariantCounts = { answered: 0, failed: 0, latency: [] };

/** Counts are kept by the hour: what was done in it before is taken off by who asks (`earlier` of the evidence). */
const hourOf = (ms: number) => Math.floor(ms / HOUR_MS) * HOUR_MS;

/** What champion and candidate did since the hour of `from`. A canary was a shadow before, so both of its parts count. */
export async function countTraffic(
  variantCounts: DeliveryDeps['variantCounts'],
  asked: { model: string; candidate: number; champion: number; from: number; to: number },
): Promise<{ candidate: VariantCounts; champion: VariantCounts }> {
  const { model, from, to } = asked;
  const all = (await variantCounts?.({ model, from: hourOf(from), to })) ?? [];
  const of = (version: number, ...variants: string[]) =>
    all
      .filter((each) => each.version === String(version) && variants.includes(each.variant))
      .reduce<VariantCounts>(sum, NOTHING);
  return {
    candidate: of(asked.candidate, 'shadow', 'canary'),
    champion: of(asked.champion, 'champion'),
  };
}

export const requests = ({ answered, failed }: VariantCounts): number => answered + failed;

function combine(a: VariantCounts, b: VariantCounts, sign: 1 | -1): VariantCounts {
  const length = Math.max(a.latency.length, b.latency.length);
  const add = (x: number | undefined, y: number | undefined) => Math.max(0, (x ?? 0) + sign * (y ?? 0));
  return {
    answered: add(a.answered, b.answered),
    failed: add(a.failed, b.failed),
    latency: Array.from({ length }, (_, i) => add(a.latency[i], b.latency[i])),
  };
}
const sum = (a: VariantCounts, b: VariantCounts) => combine(a, b, 1);
export const subtract = (a: VariantCounts, b: VariantCounts | undefined) => (b ? combine(a, b, -1) : a);
