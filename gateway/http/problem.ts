/** Every error as application/problem+json (RFC 9457). */
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { type ErrorCode, errorTable, RaylogError, toRaylogError } from '../../schemas/errors.ts'

const problemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.string(),
    remedy: z.string(),
    requestId: z.string(),
    fields: z.array(z.object({ path: z.string(), message: z.string() })).optional(),
  })
  .describe('What went wrong, and what to do about it')

export type Problem = z.infer<typeof problemSchema>

const problemAnswer = {
  description: 'A problem; `code` is one of /docs/errors',
  content: { 'application/problem+json': { schema: problemSchema } },
}

/** For the OpenAPI document: what any route may answer besides what it is for. */
export const problems = { '4xx': problemAnswer, '5xx': problemAnswer }

const retryAfterSeconds = 2
const byStatus: Readonly<Record<number, ErrorCode>> = {
  401: 'unauthorized',
  404: 'not-found',
  413: 'too-large',
  415: 'not-an-image',
}

function isFastifyError(error: Error): error is FastifyError {
  return 'statusCode' in error && typeof error.statusCode === 'number' && 'code' in error
}

/** What a thrown value tells the sender. Only our own messages and Fastify's fixed ones leave the process. */
export function problemOf(thrown: unknown, requestId: string): Problem {
  const told = (code: ErrorCode, detail: string, more: Partial<Problem> = {}): Problem => {
    const { title, http, remedy } = errorTable[code]
    return { type: `/docs/errors#${code}`, title, status: http, detail, code, remedy, requestId, ...more }
  }
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const fields = thrown.validation.map(({ instancePath, message }) => ({
      path: [thrown.validationContext ?? 'request', ...instancePath.split('/').filter(part => part !== '')].join('.'),
      message: message ?? 'not valid',
    }))
    return told('bad-request', fields.map(field => `${field.path}: ${field.message}`).join('; '), { fields })
  }
  if (thrown instanceof RaylogError && thrown.code !== 'internal') return told(thrown.code, thrown.message)
  if (thrown instanceof Error && isFastifyError(thrown)) {
    const status = thrown.statusCode ?? 500
    if (status >= 400 && status < 500) return told(byStatus[status] ?? 'bad-request', thrown.message, { status })
  }
  const error = toRaylogError(thrown)
  if (error.code !== 'internal') return told(error.code, error.entry.title)
  return told('internal', `Something unforeseen happened; the log has more under request ${requestId}.`)
}

export function sendProblem(reply: FastifyReply, problem: Problem): FastifyReply {
  if (problem.status === 503) reply.header('retry-after', String(retryAfterSeconds))
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="raylog"')
  // Set for the success that did not come.
  reply.removeHeader('etag')
  // Already text: the route's own response schema is for its successes.
  return reply
    .code(problem.status)
    .headers({ 'content-type': 'application/problem+json; charset=utf-8', 'cache-control': 'no-store' })
    .serializer(String)
    .send(JSON.stringify(problem))
}

/** Fastify's error handler. Unknown errors are logged by name and place, not by message: that may quote what was sent. */
export function handleError(thrown: unknown, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const problem = problemOf(thrown, request.id)
  if (problem.status >= 500) {
    const error = thrown instanceof Error ? thrown : new Error('not an Error')
    const stack = error.stack?.split('\n').filter(line => line.startsWith('    at '))
    const detail = problem.code === 'internal' ? undefined : problem.detail
    request.log.error(
      { code: problem.code, error: error.name, detail, stack, route: request.routeOptions.url },
      'failed',
    )
  }
  return sendProblem(reply, problem)
}

export function handleNotFound(request: FastifyRequest, reply: FastifyReply): FastifyReply {
  return sendProblem(
    reply,
    problemOf(new RaylogError('not-found', `There is no ${request.method} route here.`), request.id),
  )
}
