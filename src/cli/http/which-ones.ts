const NAMES_SHOWN = 20;

/** The end of a message about a name that does not exist: the nearest one, else those that there are. */
export async function whichOnes(wanted: string, names: readonly string[]): Promise<string> {
  if (names.length === 0) return 'there is none yet';
  // Only a message needs it, and the platform takes time to load.
  const { nearestName } = await import('../../platform/index.ts');
  const nearest = nearestName(wanted, names);
  if (nearest !== undefined) return `did you mean ${nearest}?`;
  const more = names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : '';
  return `there ${names.length === 1 ? 'is' : 'are'} ${names.slice(0, NAMES_SHOWN).join(', ')}${more}`;
}
