/** /docs: OpenAPI 3.1 out of the zod schemas on the routes, its page from local files, and the table of errors. */
import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyInstance } from 'fastify'
import { jsonSchemaTransform } from 'fastify-type-provider-zod'
import { errorTable } from '../../schemas/errors.ts'

export interface DocsOptions {
  version: string
  researchUseOnly: boolean
}

export async function addDocs(app: FastifyInstance, { version, researchUseOnly }: DocsOptions): Promise<void> {
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.1',
      info: {
        title: 'Raylog',
        version,
        description: `The imaging-AI event log.${researchUseOnly ? ' Research use only: not a medical device.' : ''}`,
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
      security: [{ token: [] }],
    },
    transform: jsonSchemaTransform,
  })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    // Its start page needs its own hashes; ours above forbids the rest.
    staticCSP: "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'",
    uiConfig: { docExpansion: 'list', tryItOutEnabled: false },
  })
  app.get('/docs/errors', { schema: { hide: true } }, async (_request, reply) =>
    reply.type('text/html; charset=utf-8').send(errorsPage()),
  )
}

const escapeHtml = (text: string) => text.replace(/[&<>"]/g, found => `&#${found.charCodeAt(0)};`)

function errorsPage(): string {
  const sections = Object.entries(errorTable).map(
    ([code, { title, remedy, verdict, http }]) =>
      `<h2 id="${code}">${code}</h2><p><b>${escapeHtml(title)}.</b> ${escapeHtml(remedy)}</p><p>HTTP ${http}; verdict: ${verdict}</p>`,
  )
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Raylog errors</title><h1>Errors</h1>${sections.join('')}</html>`
}
