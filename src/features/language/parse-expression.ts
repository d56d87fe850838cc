import { ApiError, nearestName } from '../../platform/index.ts';
import type { Expression } from './expression.ts';
import { buildCall, call, chooseIf, FEATURE_FUNCTIONS, refuseBareMissing } from './feature-functions.ts';
import {
  buildAmong,
  buildArithmetic,
  buildComparison,
  buildLogic,
  buildNot,
  buildSigned,
} from './feature-operators.ts';
import { type Token, tokenizeExpression } from './tokenize-expression.ts';

const MAX_LENGTH = 2000;
/** Brackets, calls and signs inside one another; every layer is a layer of the query too. */
const MAX_DEPTH = 40;
const MAX_OPERATIONS = 300;
const NAMES_SHOWN = 20;

/** What names in an expression stand for. */
export interface Scope {
  columns: ReadonlyMap<string, Expression>;
  /** Earlier features, by name. */
  features: ReadonlyMap<string, Expression>;
}

/** What is wrong, where (counted from 0), and what would be right. */
type FailAt = (problem: string, at: number, remedy?: string) => never;

const RESERVED = new Set('and or not in is missing null true false case when then else end if'.split(' '));
const COMPARISONS = new Set(['=', '==', '!=', '<>', '<', '<=', '>', '>=']);

/**
 * Reads an expression and types it.
 *
 * @param subject what messages call it, such as `Feature "hour"`
 * @throws ApiError INVALID_PARAMETER_VALUE with what is wrong and where (counted from 1), and the nearest name
 */
export function parseExpression(text: string, scope: Scope, subject: string): Expression {
  const failAt: FailAt = (problem, at, remedy = '') => {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${subject}: ${problem}, at position ${at + 1} of ${JSON.stringify(text)}${remedy && `; ${remedy}`}`,
      { position: at + 1 },
    );
  };
  if (text.length > MAX_LENGTH) {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${subject}: the expression has ${text.length} characters; at most ${MAX_LENGTH} are allowed`,
    );
  }
  if (text.trim() === '') {
    throw new ApiError(
      'INVALID_PARAMETER_VALUE',
      `${subject}: the expression is empty; write one such as hour(date)`,
    );
  }
  return new Parser(tokenizeExpression(text, failAt), scope, failAt).read();
}

class Parser {
  readonly #tokens: Token[];
  readonly #scope: Scope;
  readonly #failAt: FailAt;
  #next = 0;
  #depth = 0;
  #operations = 0;

  constructor(tokens: Token[], scope: Scope, failAt: FailAt) {
    this.#tokens = tokens;
    this.#scope = scope;
    this.#failAt = failAt;
  }

  read(): Expression {
    const expression = this.#any();
    const rest = this.#peek();
    if (rest.kind !== 'end') this.#failAt(`${describe(rest)} is not expected`, rest.at);
    return expression;
  }

  #peek(): Token {
    return this.#tokens[this.#next]!;
  }

  #take(): Token {
    const token = this.#peek();
    if (token.kind !== 'end') this.#next++;
    return token;
  }

  /** Takes the next token when it is this sign or word. */
  #takeIf(text: string): Token | undefined {
    const token = this.#peek();
    const wanted = token.kind === 'sign' || token.kind === 'name';
    return wanted && token.text.toLowerCase() === text ? this.#take() : undefined;
  }

  #expect(text: string, after: string): void {
    const token = this.#peek();
    if (!this.#takeIf(text)) this.#failAt(`${JSON.stringify(text)} is missing ${after}`, token.at);
  }

  /** A builder's `fail` for what begins at a token. */
  #failFrom(token: Token): (problem: string) => never {
    if (++this.#operations > MAX_OPERATIONS)
      this.#failAt(`it has more than ${MAX_OPERATIONS} operations`, token.at);
    return (problem) => this.#failAt(problem, token.at);
  }

  #deeper<T>(read: () => T): T {
    if (++this.#depth > MAX_DEPTH) this.#failAt(`it is nested more than ${MAX_DEPTH} deep`, this.#peek().at);
    const value = read();
    this.#depth--;
    return value;
  }

  #any(): Expression {
    return this.#deeper(() => this.#or());
  }

  #or(): Expression {
    let left = this.#and();
    for (let sign = this.#takeIf('or'); sign; sign = this.#takeIf('or')) {
      left = buildLogic('or', left, this.#and(), this.#failFrom(sign));
    }
    return left;
  }

  #and(): Expression {
    let left = this.#not();
    for (let sign = this.#takeIf('and'); sign; sign = this.#takeIf('and')) {
      left = buildLogic('and', left, this.#not(), this.#failFrom(sign));
    }
    return left;
  }

  #not(): Expression {
    const sign = this.#takeIf('not');
    if (!sign) return this.#comparison();
    return this.#deeper(() => buildNot(this.#not(), this.#failFrom(sign)));
  }

  #comparison(): Expression {
    const left = this.#sum();
    const sign = this.#peek();
    if (sign.kind === 'sign' && COMPARISONS.has(sign.text)) {
      this.#take();
      const compared = buildComparison(sign.text, left, this.#sum(), this.#failFrom(sign));
      const next = this.#peek();
      if (next.kind === 'sign' && COMPARISONS.has(next.text))
        this.#failAt('comparisons do not follow one another; write a < b and b < c', next.at);
      return compared;
    }
    if (this.#takeIf('is')) {
      const not = this.#takeIf('not');
      const word = this.#take();
      if (word.kind !== 'name' || !['missing', 'null'].includes(word.text.toLowerCase()))
        this.#failAt('`is` is followed by `missing` or `not missing`', word.at);
      const fail = this.#failFrom(sign);
      refuseBareMissing([left], fail);
      const asked = call('boolean', 'is_missing', left);
      return not ? buildNot(asked, fail) : asked;
    }
    const negation = this.#peekWord('not') && this.#peekWord('in', 1) ? this.#take() : undefined;
    if (!this.#takeIf('in')) return left;
    const found = buildAmong(left, this.#list('in'), this.#failFrom(sign));
    return negation ? buildNot(found, this.#failFrom(negation)) : found;
  }

  #peekWord(word: string, ahead = 0): boolean {
    const token = this.#tokens[this.#next + ahead];
    return token?.kind === 'name' && token.text.toLowerCase() === word;
  }

  #sum(): Expression {
    let left = this.#product();
    for (;;) {
      const sign = this.#takeIf('+') ?? this.#takeIf('-');
      if (!sign) return left;
      left = buildArithmetic(sign.text, left, this.#product(), this.#failFrom(sign));
    }
  }

  #product(): Expression {
    let left = this.#signed();
    for (;;) {
      const sign = this.#takeIf('*') ?? this.#takeIf('/') ?? this.#takeIf('%');
      if (!sign) return left;
      left = buildArithmetic(sign.text, left, this.#signed(), this.#failFrom(sign));
    }
  }

  #signed(): Expression {
    const sign = this.#takeIf('-') ?? this.#takeIf('+');
    if (!sign) return this.#primary();
    return this.#deeper(() => {
      const value = this.#signed();
      return buildSigned(sign.text, value, this.#failFrom(sign));
    });
  }

  #primary(): Expression {
    const token = this.#take();
    switch (token.kind) {
      case 'number': {
        const value = Number(token.text);
        if (!Number.isFinite(value)) this.#failAt(`${token.text} is too large for a number`, token.at);
        return { kind: 'number', type: 'number', value };
      }
      case 'text':
        return { kind: 'text', type: 'text', value: token.text };
      case 'quoted':
        return this.#resolve(token);
      case 'name':
        return this.#word(token);
      case 'end':
        return this.#failAt('something has to follow', token.at);
      case 'sign': {
        if (token.text !== '(') return this.#failAt(`${describe(token)} is not expected`, token.at);
        const inner = this.#any();
        this.#expect(')', 'behind what a bracket holds');
        return inner;
      }
    }
  }

  #word(token: Token): Expression {
    const word = token.text.toLowerCase();
    if (this.#peek().kind === 'sign' && this.#peek().text === '(') {
      const operands = this.#list(token.text);
      const built = buildCall(word, operands, this.#failFrom(token));
      if (built) return built;
      const names = FEATURE_FUNCTIONS.map(({ name }) => name);
      const nearest = nearestName(word, names);
      return this.#failAt(
        `there is no function ${JSON.stringify(token.text)}`,
        token.at,
        nearest ? `did you mean ${nearest}?` : `there are ${names.join(', ')}`,
      );
    }
    if (word === 'true' || word === 'false')
      return { kind: 'boolean', type: 'boolean', value: word === 'true' };
    if (word === 'missing' || word === 'null') return { kind: 'missing', type: 'number' };
    if (word === 'case') return this.#deeper(() => this.#case(token));
    if (RESERVED.has(word)) return this.#failAt(`${describe(token)} is not expected`, token.at);
    return this.#resolve(token);
  }

  #case(start: Token): Expression {
    const branches: { condition: Expression; value: Expression; at: Token }[] = [];
    for (let at = this.#takeIf('when'); at; at = this.#takeIf('when')) {
      const condition = this.#any();
      this.#expect('then', 'behind the condition of a case');
      branches.push({ condition, value: this.#any(), at });
    }
    if (branches.length === 0) this.#failAt('a case begins with when', this.#peek().at);
    this.#expect('else', 'in a case, which says what holds otherwise');
    const otherwise = this.#any();
    this.#expect('end', `behind the case that starts at position ${start.at + 1}`);
    return branches.reduceRight(
      (rest, { condition, value, at }) => chooseIf(condition, value, rest, this.#failFrom(at)),
      otherwise,
    );
  }

  #list(after: string): Expression[] {
    this.#expect('(', `behind ${after}`);
    const items: Expression[] = [];
    if (this.#takeIf(')')) return items;
    do items.push(this.#any());
    while (this.#takeIf(','));
    this.#expect(')', `behind the arguments of ${after}`);
    return items;
  }

  #resolve(token: Token): Expression {
    const { columns, features } = this.#scope;
    const feature = features.get(token.text);
    if (feature) return feature;
    const column = columns.get(token.text);
    if (column) return column;
    const names = [...columns.keys(), ...features.keys()];
    const nearest = nearestName(token.text, names);
    const shown = names.slice(0, NAMES_SHOWN).map((name) => JSON.stringify(name));
    const remedy = nearest
      ? `did you mean ${JSON.stringify(nearest)}?`
      : `there are ${shown.join(', ')}${names.length > NAMES_SHOWN ? ` and ${names.length - NAMES_SHOWN} more` : ''}`;
    const text = token.kind === 'quoted' ? `a text is written in single quotes: '${token.text}'; ` : '';
    return this.#failAt(`there is no column ${JSON.stringify(token.text)}`, token.at, `${text}${remedy}`);
  }
}

const describe = (token: Token): string =>
  token.kind === 'end' ? 'the end' : token.kind === 'text' ? `'${token.text}'` : JSON.stringify(token.text);
