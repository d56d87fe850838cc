/** A name as a SQL identifier: quoted, so that spaces, quotes and key words are only a name. */
export const quoteIdentifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A text as a SQL string constant. */
export const quoteText = (text: string): string => `'${text.replaceAll("'", "''")}'`;

/** A list of texts as a SQL list constant. */
export const quoteTextList = (texts: readonly string[]): string => `[${texts.map(quoteText).join(', ')}]`;

/** The milliseconds of a TIMESTAMP, rounded down as texts are read; `epoch_ms` alone rounds to 1970. */
export const wholeMs = (sql: string): string => `epoch_ms(date_trunc('milliseconds', ${sql}))`;
