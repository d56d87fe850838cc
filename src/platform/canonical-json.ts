/**
 * JSON that is the same text for the same content: keys sorted, no spaces. What JSON cannot say (NaN, infinities)
 * becomes null, `undefined` members are left out, and a bigint becomes its digits as text.
 */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === 'bigint') return member.toString();
    if (typeof member !== 'object' || member === null || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
  });
}
