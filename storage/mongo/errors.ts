/** What MongoDB's errors mean. An outage is waited out, so only what is a document's own fault is anything else. */
import { MongoBulkWriteError, MongoError, MongoInvalidArgumentError, MongoParseError, MongoServerError } from 'mongodb'
import { type ErrorCode, RaylogError } from '../../schemas/errors.ts'
import { fromSystem } from '../outage.ts'

export const duplicateKey = 11000

/** https://www.mongodb.com/docs/manual/reference/error-codes/ */
const codes = new Map<number, ErrorCode>([
  [14031, 'store-full'], // OutOfDiskSpace
  [10334, 'too-large'], // BSONObjectTooLarge
  [17419, 'too-large'], // the document would grow too large
  [17420, 'too-large'],
  [2, 'internal'], // BadValue
  [9, 'internal'], // FailedToParse
  [14, 'internal'], // TypeMismatch
  [22, 'internal'], // InvalidBSON
  [52, 'internal'], // DollarPrefixedFieldName
  [57, 'internal'], // DottedFieldName
  [121, 'internal'], // DocumentValidationFailure: somebody gave the collection a validator
  [duplicateKey, 'internal'], // of an index that is not ours
])

/** A provider's quota, and MongoDB 8's own stop before the disk is full (SERVER-102961), come under general codes. */
const fullTexts = /no space left|out of disk space|space quota|DiskUseThresholdExceeded/i

/** @param code of a server's error; its text may hold values of documents, so it is read but never passed on */
export function fromServer(code: unknown, text: string, name = ''): RaylogError {
  const number = typeof code === 'number' ? code : 0
  const meaning = fullTexts.test(text) ? 'store-full' : (codes.get(number) ?? 'store-unavailable')
  return new RaylogError(meaning, `MongoDB answered with error ${number}${name && ` (${name})`}`)
}

/** Never passes on the URL: it may hold a password. */
export function fromMongo(thrown: unknown): RaylogError {
  if (thrown instanceof RaylogError) return thrown
  if (thrown instanceof MongoBulkWriteError) return fromServer(thrown.code, thrown.message)
  if (thrown instanceof MongoServerError) return fromServer(thrown.code, thrown.message, String(thrown.codeName ?? ''))
  if (thrown instanceof MongoInvalidArgumentError || thrown instanceof MongoParseError)
    return new RaylogError('internal', thrown.message, { cause: thrown })
  // Network, no primary, no free connection, a closed pool: the driver goes on looking for the server by itself.
  if (thrown instanceof MongoError) return new RaylogError('store-unavailable', thrown.message, { cause: thrown })
  // The driver passes on some of the system's errors as they are, a broken connection among them.
  return fromSystem(thrown)
}
