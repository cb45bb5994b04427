import { createServer, type Server } from 'node:http'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../monitoring/clock.ts'
import { openSchemas } from './schemas.ts'

let server: Server
let url = ''
/** Whether the subject has its rule; another process sets it just before us. */
let ruled = false

beforeAll(async () => {
  server = createServer((request, response) => {
    const answer = (status: number, body: object) => {
      response.writeHead(status, { 'content-type': 'application/vnd.schemaregistry.v1+json' })
      response.end(JSON.stringify(body))
    }
    if (request.method === 'GET')
      return ruled ? answer(200, { compatibilityLevel: 'BACKWARD_TRANSITIVE' }) : answer(404, { error_code: 40401 })
    if (request.method === 'POST') return answer(200, { id: 7 })
    ruled = true
    answer(409, { error_code: 409, message: "A rule named 'COMPATIBILITY' already exists." })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
})
afterAll(() => void server.close())

describe('schemas in a registry', () => {
  it('get their id also where another process sets the rule of their subject at the same moment', async () => {
    const schemas = openSchemas({ url, auth: null }, systemClock)
    const schema = JSON.stringify({ type: 'record', name: 'R', fields: [] })
    expect(await schemas.idOf('r-value', schema)).toBe(7)
    expect(ruled).toBe(true)
  })
})
