export type ImportKind = 'static' | 'side-effect' | 'dynamic' | 'type-only' | 're-export' | 'url';

export interface FoundImport {
  kind: ImportKind;
  /** The text as written; a template such as `` `./worker${suffix}` `` keeps its fixed part and `isPartial` is set. */
  specifier: string;
  isPartial: boolean;
  isTypeOnly: boolean;
  line: number;
}

interface Token {
  type: 'word' | 'punctuation' | 'string' | 'template';
  text: string;
  /** For a template: whether it holds substitutions. */
  isPartial?: boolean;
  line: number;
}

/**
 * Finds every import of a TypeScript source: static, side-effect, dynamic, type-only, re-exports, `require`, types
 * by `import('…')`, and `new URL('./x', import.meta.url)`, by which workers are loaded. Reads tokens rather than
 * lines, so that comments, strings and regular expressions neither hide nor fake one.
 */
export function scanImports(source: string): FoundImport[] {
  const tokens = tokenize(source);
  const found: FoundImport[] = [];
  const add = (kind: ImportKind, token: Token | undefined, isTypeOnly = false) => {
    const isText = token?.type === 'string' || token?.type === 'template';
    found.push({
      kind,
      specifier: isText ? token.text : '',
      isPartial: !isText || Boolean(token.isPartial),
      isTypeOnly,
      line: token?.line ?? 0,
    });
  };
  for (let i = 0; i < tokens.length; i += 1) {
    const token = tokens[i];
    const next = tokens[i + 1];
    if (token?.type !== 'word' || isProperty(tokens, i)) continue;
    if (token.text === 'import') {
      if (next?.type === 'string') add('side-effect', next);
      else if (next?.text === '(') add('dynamic', tokens[i + 2]);
      else if (next?.text !== '.') {
        const isTypeOnly = next?.text === 'type' && tokens[i + 2]?.text !== 'from';
        add(isTypeOnly ? 'type-only' : 'static', findFrom(tokens, i), isTypeOnly);
      }
    } else if (token.text === 'export') {
      const isTypeOnly = next?.text === 'type';
      const list = isTypeOnly ? tokens[i + 2] : next;
      if (list?.text !== '{' && list?.text !== '*') continue;
      const from = findFrom(tokens, i);
      if (from) add('re-export', from, isTypeOnly);
    } else if (token.text === 'require' && next?.text === '(') {
      add('dynamic', tokens[i + 2]);
    } else if (token.text === 'URL' && tokens[i - 1]?.text === 'new' && next?.text === '(') {
      const argument = tokens[i + 2];
      const isText = argument?.type === 'string' || argument?.type === 'template';
      if (isText && /^\.{1,2}\//.test(argument.text)) add('url', argument);
    }
  }
  return found;
}

/** Whether the source reads `process.env`, in any spelling that tokens can show. */
export function readsEnvironment(source: string): boolean {
  const tokens = tokenize(source);
  return tokens.some(
    (token, i) =>
      (token.text === 'env' || (token.type === 'string' && token.text === 'env')) &&
      ['.', '?.', '['].includes(tokens[i - 1]?.text ?? '') &&
      tokens[i - 2]?.text === 'process',
  );
}

function isProperty(tokens: Token[], i: number): boolean {
  const before = tokens[i - 1]?.text;
  const after = tokens[i + 1]?.text;
  return before === '.' || before === '?.' || (after === ':' && before !== '?');
}

/** The specifier after `from` of the declaration that starts at `start`, or nothing when it has none. */
function findFrom(tokens: Token[], start: number): Token | undefined {
  for (let i = start + 1; i < tokens.length; i += 1) {
    const token = tokens[i];
    if (token?.text === ';' && token.type === 'punctuation') return undefined;
    if (token?.text === 'from' && tokens[i + 1]?.type === 'string') return tokens[i + 1];
    if (i > start + 1 && token?.type === 'word' && (token.text === 'import' || token.text === 'export')) {
      return undefined;
    }
  }
  return undefined;
}

function tokenize(source: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  let i = 0;
  // Depth of braces at which each open template substitution ends.
  const substitutions: number[] = [];
  let depth = 0;

  const push = (type: Token['type'], text: string, isPartial?: boolean) =>
    tokens.push({ type, text, line, ...(isPartial !== undefined && { isPartial }) });

  const skipTo = (end: number) => {
    for (; i < end; i += 1) if (source[i] === '\n') line += 1;
  };

  /** Reads template characters from `i` to the closing backtick or the next `${`. */
  const readTemplate = (isStart: boolean) => {
    let end = i;
    while (end < source.length && source[end] !== '`' && !(source[end] === '$' && source[end + 1] === '{')) {
      end += source[end] === '\\' ? 2 : 1;
    }
    const opens = source[end] === '$';
    if (isStart) push('template', source.slice(i, end), opens);
    skipTo(end + (opens ? 2 : 1));
    if (opens) {
      substitutions.push(depth);
      depth += 1;
    }
  };

  while (i < source.length) {
    const char = source[i] as string;
    if (char === '\n' || char === ' ' || char === '\t' || char === '\r') skipTo(i + 1);
    else if (source.startsWith('//', i)) skipTo(endOf(source, '\n', i));
    else if (source.startsWith('/*', i)) skipTo(endOf(source, '*/', i + 2) + 2);
    else if (char === '`') {
      i += 1;
      readTemplate(true);
    } else if (char === '}' && substitutions.at(-1) === depth - 1 && substitutions.length > 0) {
      substitutions.pop();
      depth -= 1;
      i += 1;
      readTemplate(false);
    } else if (char === '"' || char === "'") {
      let end = i + 1;
      while (end < source.length && source[end] !== char) end += source[end] === '\\' ? 2 : 1;
      push('string', source.slice(i + 1, end));
      skipTo(end + 1);
    } else if (char === '/' && startsRegex(tokens.at(-1))) {
      let end = i + 1;
      let inClass = false;
      while (end < source.length && (inClass || source[end] !== '/')) {
        if (source[end] === '[') inClass = true;
        if (source[end] === ']') inClass = false;
        end += source[end] === '\\' ? 2 : 1;
      }
      push('punctuation', '/regex/');
      skipTo(end + 1);
    } else if (/[\w$\u0080-\uffff]/.test(char)) {
      let end = i + 1;
      while (end < source.length && /[\w$\u0080-\uffff]/.test(source[end] as string)) end += 1;
      push('word', source.slice(i, end));
      i = end;
    } else {
      if (char === '{') depth += 1;
      if (char === '}') depth -= 1;
      const text = source.startsWith('?.', i) ? '?.' : char;
      push('punctuation', text);
      i += text.length;
    }
  }
  return tokens;
}

function endOf(source: string, text: string, from: number): number {
  const end = source.indexOf(text, from);
  return end < 0 ? source.length : end;
}

/** A slash opens a regular expression unless a value stands before it. */
function startsRegex(before: Token | undefined): boolean {
  if (!before) return true;
  if (before.type === 'string' || before.type === 'template') return false;
  if (before.type === 'word') {
    return ['return', 'typeof', 'case', 'in', 'of', 'await', 'void', 'yield', 'delete', 'else'].includes(
      before.text,
    );
  }
  return !([')', ']', '}'].includes(before.text) || before.text === '/regex/');
}
