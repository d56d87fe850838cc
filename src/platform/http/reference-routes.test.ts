import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { createTestApp } from '../../../tests/support/test-app.ts';

const Model = z
  .object({
    name: z.string().describe('Of the model'),
    created_at: z.date(),
    versions: z.array(z.object({ version: z.number().int().positive() }).meta({ id: 'Version' })),
    parent: z.string().nullable(),
  })
  .meta({ id: 'Model' });

const Node = z
  .object({
    id: z.string(),
    get children() {
      return z.array(Node).optional();
    },
  })
  .meta({ id: 'Node' });

const Tree = z.object({
  name: z.string().default('root'),
  get inner() {
    return z.array(Tree).optional();
  },
});

/** Its answer differs from its request only in what it refers to. */
const Pages = z.object({ first: z.lazy(() => Page) }).meta({ id: 'Pages' });

const Page = z.object({ limit: z.number().default(5) }).meta({ id: 'Page' });

function appWithRoutes() {
  const { app } = createTestApp({ name: 'A & B', description: 'What it does' });
  app.get(
    '/api/v1/models/:name/versions/:version',
    {
      schema: {
        summary: 'One version',
        description: 'In full',
        tags: ['models'],
        params: z.object({ name: z.string().describe('Its name'), version: z.coerce.number() }),
        querystring: z.object({ full: z.stringbool().default(false), as: z.enum(['a', 'b']) }),
        headers: z.object({ 'if-none-match': z.string().optional() }),
        response: { 200: Model, 304: z.null().describe('Not changed'), '4xx': z.object({ why: z.string() }) },
      },
    },
    () => ({}) as never,
  );
  app.post(
    '/api/v1/models/:name/promote',
    { schema: { body: Page, response: { 200: Page } } },
    () => ({}) as never,
  );
  app.post('/api/v1/tree', { schema: { operationId: 'putTree', body: Node } }, () => ({}));
  app.put(
    '/files/*',
    {
      schema: {
        consumes: ['application/octet-stream'],
        body: z.any().describe('The bytes'),
        response: {
          200: { description: 'Parquet', content: { 'application/vnd.apache.parquet': { schema: z.any() } } },
          204: z.void(),
        },
      },
      config: { ownValidation: true },
    } as never,
    () => '',
  );
  app.post('/recursive', { schema: { body: Tree, response: { 200: Tree } } }, () => ({}) as never);
  app.post('/pages', { schema: { body: Pages, response: { 200: Pages } } }, () => ({}) as never);
  app.get('/a/b', () => ({}));
  app.get('/a-b', () => ({}));
  app.get('/v1/models/:model(^[^:]+)::predict', () => ({}));
  return app;
}

describe('GET /openapi.json', () => {
  it('describes every route in OpenAPI 3.1, with its own routes left out', async () => {
    const app = appWithRoutes();
    const answer = await app.inject('/openapi.json');
    const document = answer.json();
    expect(answer.headers['content-type']).toContain('application/json');
    expect(document).toMatchObject({
      openapi: '3.1.0',
      info: { title: 'A & B', version: '1.2.3', description: 'What it does' },
    });
    expect(Object.keys(document.paths)).toEqual([
      '/api/v1/models/{name}/versions/{version}',
      '/api/v1/models/{name}/promote',
      '/api/v1/tree',
      '/files/{path}',
      '/recursive',
      '/pages',
      '/a/b',
      '/a-b',
      '/v1/models/{model}:predict',
    ]);
    expect((await app.inject('/openapi.json')).body).toBe(answer.body);
  });

  it('names parameters, bodies and answers by their schemas', async () => {
    const { paths, components } = (await appWithRoutes().inject('/openapi.json')).json();
    const error = { $ref: '#/components/responses/Error' };
    expect(paths['/api/v1/models/{name}/versions/{version}'].get).toEqual({
      operationId: 'getApiV1ModelsNameVersionsVersion',
      summary: 'One version',
      description: 'In full',
      tags: ['models'],
      parameters: [
        { name: 'name', in: 'path', required: true, description: 'Its name', schema: { type: 'string' } },
        { name: 'version', in: 'path', required: true, schema: { type: 'number' } },
        { name: 'full', in: 'query', required: false, schema: { type: 'string' } },
        { name: 'as', in: 'query', required: true, schema: { type: 'string', enum: ['a', 'b'] } },
        { name: 'if-none-match', in: 'header', required: false, schema: { type: 'string' } },
      ],
      responses: {
        200: {
          description: 'Done',
          content: { 'application/json': { schema: { $ref: '#/components/schemas/Model' } } },
        },
        304: { description: 'Not changed' },
        '4XX': expect.objectContaining({ description: 'Done' }),
        default: error,
      },
    });
    expect(components.schemas.Model.properties).toMatchObject({
      name: { type: 'string', description: 'Of the model' },
      created_at: { type: 'string', format: 'date-time' },
      versions: { items: { $ref: '#/components/schemas/Version' } },
      parent: { type: ['string', 'null'] },
    });
    expect(components.schemas.Version.properties.version.type).toBe('integer');
    expect(paths['/files/{path}'].put).toMatchObject({
      parameters: [{ name: 'path', in: 'path', required: true }],
      requestBody: { content: { 'application/octet-stream': { schema: { description: 'The bytes' } } } },
      responses: {
        200: { description: 'Parquet', content: { 'application/vnd.apache.parquet': {} } },
        204: { description: 'Done' },
      },
    });
    expect(paths['/a-b'].get).toEqual({
      operationId: 'getAB2',
      responses: { 200: { description: 'Done' }, default: error },
    });
  });

  it('keeps apart what a schema is in a request and in an answer, and follows schemas that hold themselves', async () => {
    const { paths, components } = (await appWithRoutes().inject('/openapi.json')).json();
    const promote = paths['/api/v1/models/{name}/promote'].post;
    const bodySchema = promote.requestBody.content['application/json'].schema;
    const answerSchema = promote.responses['200'].content['application/json'].schema;
    expect(bodySchema).not.toEqual(answerSchema);
    const named = (reference: { $ref: string }) => components.schemas[reference.$ref.split('/').at(-1) ?? ''];
    expect(named(bodySchema).required).toBeUndefined();
    expect(named(answerSchema).required).toEqual(['limit']);
    const tree = named(paths['/api/v1/tree'].post.requestBody.content['application/json'].schema);
    expect(tree.properties).toEqual({
      id: { type: 'string' },
      children: { type: 'array', items: { $ref: '#/components/schemas/Node' } },
    });
  });

  it('names schemas that hold themselves without a name, apart for requests and answers', async () => {
    const { paths, components } = (await appWithRoutes().inject('/openapi.json')).json();
    const { requestBody, responses } = paths['/recursive'].post;
    expect(requestBody.content['application/json'].schema.$ref).toBe('#/components/schemas/Recursive');
    expect(responses['200'].content['application/json'].schema.$ref).toBe(
      '#/components/schemas/RecursiveOutput',
    );
    expect(components.schemas.Recursive.properties.inner.items.$ref).toBe('#/components/schemas/Recursive');
    expect(components.schemas.RecursiveOutput.properties.inner.items.$ref).toBe(
      '#/components/schemas/RecursiveOutput',
    );
    const pages = paths['/pages'].post;
    const first = (named: { schema: { $ref: string } }) =>
      components.schemas[named.schema.$ref.split('/').at(-1) ?? ''].properties.first.$ref;
    const requestPage = first(pages.requestBody.content['application/json']);
    expect(first(pages.responses['200'].content['application/json'])).not.toBe(requestPage);
  });

  it('has no reference that leads nowhere and no operation id twice', async () => {
    const { body } = await appWithRoutes().inject('/openapi.json');
    const document = JSON.parse(body);
    for (const [, target] of body.matchAll(/"\$ref":"#\/([^"]+)"/g)) {
      const found = target?.split('/').reduce((at, key) => at?.[key], document);
      expect({ target, found }).toEqual({ target, found: expect.any(Object) });
    }
    expect(body).not.toMatch(/\$defs|\$schema|__shared/);
    const ids = [...body.matchAll(/"operationId":"([^"]+)"/g)].map((match) => match[1]);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('GET /docs', () => {
  it('is a page whose files all come from here', async () => {
    const { app } = createTestApp({ name: '<script>' });
    const page = await app.inject('/docs');
    expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
    expect(page.headers['content-security-policy']).toContain("script-src 'self'");
    expect(page.body).not.toContain('<script>API');
    const files = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] as string);
    expect(files).toHaveLength(4);
    for (const file of files) {
      const answer = await app.inject(`/${file}`);
      expect([answer.statusCode, answer.rawPayload.length > 50]).toEqual([200, true]);
    }
    expect((await app.inject('/docs/files/start.js')).body).toContain('openapi.json');
  });

  it.each(['swagger-ui.css.map', '..%2fpackage.json', 'toString', 'index.html'])(
    'has no file %s',
    async (file) => {
      const { app } = createTestApp();
      expect((await app.inject(`/docs/files/${file}`)).json().error_code).toBe('ENDPOINT_NOT_FOUND');
    },
  );
});
