/** A word or sign of an expression; `at` is where it starts, counted from 0. */
export interface Token {
  kind: 'number' | 'text' | 'name' | 'quoted' | 'sign' | 'end';
  /** Of names, texts and quoted names: without quotes. */
  text: string;
  at: number;
}

const SIGNS = ['<=', '>=', '!=', '<>', '==', '+', '-', '*', '/', '%', '=', '<', '>', '(', ')', ','];
const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const SPACE = /\s+/y;

/** Cuts an expression into tokens, the last one of kind 'end'. `fail` throws, told what is wrong where. */
export function tokenizeExpression(text: string, fail: (problem: string, at: number) => never): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  const match = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  while (at < text.length) {
    const space = match(SPACE);
    if (space) {
      at += space.length;
      continue;
    }
    const start = at;
    const quote = text[at];
    if (quote === "'" || quote === '"') {
      const { value, end } = readQuoted(text, at, fail);
      tokens.push({ kind: quote === "'" ? 'text' : 'quoted', text: value, at: start });
      at = end;
      continue;
    }
    const number = match(NUMBER);
    const found = number ?? match(NAME) ?? SIGNS.find((sign) => text.startsWith(sign, start));
    if (found === undefined)
      fail(`${JSON.stringify(String.fromCodePoint(text.codePointAt(at)!))} has no meaning here`, at);
    else {
      at += found.length;
      const kind = number !== undefined ? 'number' : /^[\p{L}_]/u.test(found) ? 'name' : 'sign';
      tokens.push({ kind, text: found, at: start });
    }
  }
  tokens.push({ kind: 'end', text: '', at: text.length });
  return tokens;
}

/** Inside quotes, two of them stand for one, as in SQL. */
function readQuoted(
  text: string,
  start: number,
  fail: (problem: string, at: number) => never,
): { value: string; end: number } {
  const quote = text[start]!;
  let value = '';
  for (let at = start + 1; ; at++) {
    if (at >= text.length) fail(`the ${quote === "'" ? 'text' : 'name'} that starts here has no end`, start);
    if (text[at] !== quote) value += text[at];
    else if (text[at + 1] === quote) {
      value += quote;
      at++;
    } else return { value, end: at + 1 };
  }
}
