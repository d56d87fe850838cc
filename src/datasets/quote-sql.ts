/** A name as a SQL identifier: quoted, so that spaces, quotes and key words are only a name. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A text as a SQL string constant. */
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A list of texts as a SQL list constant. */
export const quoteTextList = (texts: readonly string[]): string => `[${texts.map(quoteText).join(', ')}]`;
