/** A name as a SQL identifier: quoted, so that spaces, quotes and key words are only a name. */
export const identifier = (name: string): string => `"${name.replaceAll('"', '""')}"`;

/** A text as a SQL string constant. */
export const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export const literals = (texts: readonly string[]): string => `[${texts.map(literal).join(', ')}]`;

/** The place of a top-level key in a JSON document, as RFC 6901 writes it: any name is only a name. */
export const jsonPointer = (key: string): string => `/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
