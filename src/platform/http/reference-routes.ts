import { createReadStream } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { ApiError } from '../errors.ts';
import type { Metrics } from '../metrics.ts';
import type { App } from './app-type.ts';
import { acceptAnyBody } from './contracts.ts';
import type { KnownRoute } from './route-table.ts';

/** The files of Swagger UI that the page needs; served from the package, so that it works without a network. */
const PAGE_FILES: Record<string, string> = {
  'swagger-ui.css': 'text/css; charset=utf-8',
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'favicon-32x32.png': 'image/png',
};

const PAGE_POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
  "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'";

/** Adds `/metrics`, `/openapi.json` and `/docs`, and gives the list that every later route of the app joins. */
export function addReferenceRoutes(
  app: App,
  options: {
    name: string;
    version: string;
    description?: string;
    metrics: Metrics;
    completeDocument?: (document: Record<string, any>) => Record<string, any>;
  },
): readonly KnownRoute[] {
  const routes: KnownRoute[] = [];
  app.addHook('onRoute', (route) => {
    for (const method of [route.method].flat())
      routes.push({ method, url: route.url, schema: route.schema ?? {} });
    if (route.config?.ownValidation) route.validatorCompiler = acceptAnyBody as never;
  });

  const hidden = { schema: { hide: true }, config: { logLevel: 'debug' as const } };

  app.get('/metrics', hidden, (_request, reply) =>
    reply.type(options.metrics.contentType).send(options.metrics.render()),
  );

  const { completeDocument = (document) => document } = options;
  let document: Promise<Record<string, any>> | undefined;
  app.get('/openapi.json', hidden, async (_request, reply) => {
    document ??= import('./openapi.ts').then(({ describeApi }) =>
      describeApi(routes, {
        title: options.name,
        version: options.version,
        description: options.description,
      }),
    );
    const text = JSON.stringify(completeDocument(structuredClone(await document)));
    return reply.type('application/json; charset=utf-8').send(text);
  });

  app.get('/docs', hidden, (_request, reply) =>
    reply
      .type('text/html; charset=utf-8')
      .header('content-security-policy', PAGE_POLICY)
      .send(referencePage(options.name)),
  );

  app.get('/docs/files/:file', hidden, (request, reply) => {
    const { file } = request.params as { file: string };
    if (file === 'start.js') return reply.type('text/javascript; charset=utf-8').send(PAGE_SCRIPT);
    const type = Object.hasOwn(PAGE_FILES, file) ? PAGE_FILES[file] : undefined;
    if (type === undefined)
      throw new ApiError('ENDPOINT_NOT_FOUND', `The reference page has no file ${file}`);
    const folder = path.dirname(createRequire(import.meta.url).resolve('@fastify/swagger-ui/package.json'));
    return reply
      .type(type)
      .header('cache-control', 'public, max-age=86400')
      .send(createReadStream(path.join(folder, 'static', file)));
  });

  return routes;
}

function referencePage(title: string): string {
  const name = title.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
  // Relative to /docs, so that the page also works under a proxy's prefix.
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name} API</title>
<link rel="stylesheet" href="docs/files/swagger-ui.css">
<link rel="icon" href="docs/files/favicon-32x32.png">
</head>
<body>
<div id="reference"></div>
<script src="docs/files/swagger-ui-bundle.js"></script>
<script src="docs/files/start.js"></script>
</body>
</html>
`;
}

const PAGE_SCRIPT = `SwaggerUIBundle({ url: 'openapi.json', dom_id: '#reference', deepLinking: true, validatorUrl: null });
`;
