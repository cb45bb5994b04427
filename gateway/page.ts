/** The page: the built files of web/, and its shell at each of its own paths. */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import fastifyStatic from '@fastify/static'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { RaylogError } from '../schemas/errors.ts'
import { isPagePath, pathOf } from './http/access.ts'
import { handleNotFound } from './http/problem.ts'

export const builtPage = resolve(import.meta.dirname, '../web/dist')

const notBuilt = `<!doctype html><html lang="en"><meta charset="utf-8"><title>Raylog</title>
<h1>Raylog runs; its page is not built</h1>
<p>Build it once with <code>npx vite build web</code>, then load this page again.</p>
<p>The API works without it: <a href="/docs">/docs</a>.</p></html>`

/** @param folder holds index.html and assets/ (names with digests); looked up at each request, so it may be built later */
export async function addPage(app: FastifyInstance, folder: string): Promise<void> {
  await app.register(fastifyStatic, { root: folder, serve: false, cacheControl: false })

  app.get('/assets/*', { config: { public: true }, schema: { hide: true } }, async (request, reply) => {
    const name = pathOf(request).slice(1)
    if (!existsSync(join(folder, 'assets'))) return handleNotFound(request, reply)
    return reply.header('cache-control', 'public, max-age=31536000, immutable').sendFile(name)
  })
  for (const url of ['/', '/*']) {
    app.get(url, { config: { public: true }, schema: { hide: true } }, (request, reply) =>
      shell(request, reply, folder),
    )
  }
}

function shell(request: FastifyRequest, reply: FastifyReply, folder: string) {
  const path = pathOf(request)
  const wantsPage = request.headers.accept?.includes('text/html') ?? false
  if (isPagePath(path) && (wantsPage || path === '/')) {
    // Which assets it names changes with each build.
    reply.header('cache-control', 'no-cache')
    if (!existsSync(join(folder, 'index.html'))) return reply.type('text/html; charset=utf-8').send(notBuilt)
    return reply.sendFile('index.html')
  }
  const file = path.slice(1)
  // Files beside the shell, such as an icon: only by plain names, so never out of the folder.
  if (/^[A-Za-z0-9_-]+\.[a-z0-9]+$/.test(file) && existsSync(join(folder, file)))
    return reply.header('cache-control', 'no-cache').sendFile(file)
  throw new RaylogError('not-found', `There is no ${request.method} route here.`)
}
