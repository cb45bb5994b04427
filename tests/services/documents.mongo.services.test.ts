/** The document store's contract on MongoDB's protocol, and what happens when the server is away. */
import { randomUUID } from 'node:crypto'
import pino from 'pino'
import { afterAll } from 'vitest'
import { openMongoDocuments } from '../../storage/mongo-documents.ts'
import { documentsContract } from '../contract/documents.ts'
import { startMongo } from './servers/mongo.ts'

const mongo = await startMongo()
afterAll(() => mongo[Symbol.asyncDispose]())
const logger = pino({ level: 'silent' })

documentsContract('MongoDB', async () => {
  const database = `contract-${randomUUID()}`
  const open = () => openMongoDocuments({ url: mongo.url, database, logger })
  let store = await open()
  return {
    store,
    async reopen() {
      // The server keeps its data in memory, so what is ended is the client.
      store = await open()
      return store
    },
    close: () => store.close(),
  }
})
