import { MongoInvalidArgumentError, MongoNetworkError, MongoServerError } from 'mongodb'
import { describe, expect, it } from 'vitest'
import { RaylogError } from '../../schemas/errors.ts'
import { fromMongo } from './errors.ts'

const server = (code: number, message = 'm') => new MongoServerError({ code, message, codeName: 'Name' })
const system = (code: string) => Object.assign(new Error(code), { code })

describe("MongoDB's errors", () => {
  it.each([
    ['no space', server(14031), 'store-full'],
    ["a provider's quota", server(8000, 'you are over your space quota, using 513 MB of 512 MB'), 'store-full'],
    [
      'writes that are blocked before the disk is full',
      server(371, 'User writes blocked: DiskUseThresholdExceeded'),
      'store-full',
    ],
    ['writes that are blocked by a migration', server(371, 'User writes blocked'), 'store-unavailable'],
    ['no longer the primary', server(10107), 'store-unavailable'],
    ['a write concern that was not met in time', server(64), 'store-unavailable'],
    ['a password that was changed', server(18), 'store-unavailable'],
    ['a code that nobody has heard of', server(987_654), 'store-unavailable'],
    ['a document that is too large', server(10334), 'too-large'],
    ["somebody's validator", server(121), 'internal'],
    ['a broken connection', new MongoNetworkError('connection 1 closed'), 'store-unavailable'],
    ['a broken connection, as the system tells it', system('ECONNRESET'), 'store-unavailable'],
    ['a certificate that has expired', system('CERT_HAS_EXPIRED'), 'store-unavailable'],
    ['a wrong call', new MongoInvalidArgumentError('x'), 'internal'],
    ['a fault of ours', new TypeError('x is not a function'), 'internal'],
    ['one of ours', new RaylogError('bad-request', 'x'), 'bad-request'],
  ])('%s', (_, thrown, code) => {
    expect(fromMongo(thrown).code).toBe(code)
  })

  it("never repeat what the server says of a document's contents", () => {
    const thrown = server(121, 'Document failed validation: { name: "Canary^Patient" }')
    expect(JSON.stringify({ ...fromMongo(thrown), message: fromMongo(thrown).message })).not.toContain('Canary')
  })
})
