/**
 * Every error that Raylog gives has a code in this table. The code is the metric label, the `code` of a problem+json
 * answer and the anchor in docs/errors.md (a test holds the two equal).
 */
import type { ErrorEntry } from './error-entry.ts'
import { inputErrors } from './error-input.ts'

export type { ErrorEntry, Verdict } from './error-entry.ts'

/** DIMSE: 0xA700 out of resources (send again later), 0xA900 data set does not match, 0xC000 cannot understand. */
const table = {
  ...inputErrors,
  'no-such-model': {
    verdict: 'park',
    http: 404,
    dimse: 0xc000,
    title: 'No model of that name',
    remedy: 'List the models with "raylog models".',
  },
  'model-refused': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The model cannot take this image',
    remedy: 'See what the model accepts with "raylog models", and why with "raylog explain ID".',
  },
  'model-invalid': {
    verdict: 'stop',
    http: 500,
    dimse: 0xa700,
    title: 'A model folder is not valid',
    remedy: 'Run "raylog doctor"; it names the file and what is wrong.',
  },
  'infer-failed': {
    verdict: 'retry',
    http: 500,
    dimse: 0xa700,
    title: 'The model failed on this image',
    remedy: 'Look at the message; if other images pass, the image is at fault.',
  },
  'worker-died': {
    verdict: 'retry',
    http: 500,
    dimse: 0xa700,
    intake: true,
    title: 'The worker died on this image',
    remedy: 'If it happens on one image only, that image is parked; otherwise check memory.',
  },
  'worker-killer': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The image ended its worker twice',
    remedy: 'Keep a copy for a bug report; retry after an upgrade.',
  },
  'worker-timeout': {
    verdict: 'retry',
    http: 504,
    dimse: 0xa700,
    intake: true,
    title: 'The worker took too long',
    remedy: 'Raise models.budgetMs, or give the machine more cores.',
  },
  'object-missing': {
    verdict: 'park',
    http: 404,
    dimse: 0xa700,
    title: 'The stored object is gone',
    remedy: 'It was erased, or the object store was changed. Send the image again.',
  },
  'object-damaged': {
    verdict: 'park',
    http: 500,
    dimse: 0xa700,
    intake: true,
    title: 'The stored object does not have its digest',
    remedy: 'The disk or store is faulty: check it, restore the object from a backup.',
  },
  'store-unavailable': {
    verdict: 'wait',
    http: 503,
    dimse: 0xa700,
    intake: true,
    title: 'A store does not answer',
    remedy: 'Wait; Raylog goes on by itself when it is back.',
  },
  'store-full': {
    verdict: 'wait',
    http: 507,
    dimse: 0xa700,
    intake: true,
    title: 'No space is left',
    remedy: 'Make room on the disk; senders are refused until then, and nothing acknowledged is lost.',
  },
  'log-unavailable': {
    verdict: 'wait',
    http: 503,
    dimse: 0xa700,
    intake: true,
    title: 'The log does not answer',
    remedy: 'Wait; Raylog goes on by itself when it is back.',
  },
  busy: {
    verdict: 'wait',
    http: 503,
    dimse: 0xa700,
    intake: true,
    title: 'Too much at once',
    remedy: 'Send again after the time in Retry-After.',
  },
  'timed-out': {
    verdict: 'retry',
    http: 504,
    dimse: 0xa700,
    intake: true,
    title: 'It took longer than allowed',
    remedy: 'The image is stored; its result will appear on the page and at GET /api/v1/predictions?instance=ID.',
  },
  'delivery-failed': {
    verdict: 'retry',
    http: 502,
    dimse: 0xa700,
    title: 'The receiver did not take it',
    remedy: 'Check that the receiver runs and accepts the signature.',
  },
  'peer-unavailable': {
    verdict: 'wait',
    http: 502,
    dimse: 0xa700,
    title: 'A system that Raylog calls does not answer',
    remedy: 'Check that it runs, its host and port in the settings, and certificates where it is called over TLS.',
  },
  'peer-refused': {
    verdict: 'park',
    http: 502,
    dimse: 0xa700,
    title: 'A system that Raylog calls refused',
    remedy: 'See the status in the message: it must know our AE title and allow what was asked.',
  },
  'bad-record': {
    verdict: 'park',
    http: 500,
    dimse: 0xa700,
    title: 'The record cannot be decoded',
    remedy: 'It was written with a schema that this version does not know, or is damaged.',
  },
  'bad-request': {
    verdict: 'park',
    http: 400,
    dimse: 0xc000,
    intake: true,
    title: 'The request is not valid',
    remedy: 'See the fields named in the message; the API is described at /docs.',
  },
  outdated: {
    verdict: 'park',
    http: 409,
    dimse: 0xc000,
    title: 'A newer version took its place',
    remedy:
      'Send the newer report that the message names: "raylog reports resend ID --destination NAME", or "Send again" beside it on the page of its study.',
  },
  'not-acceptable': {
    verdict: 'park',
    http: 406,
    dimse: 0xc000,
    title: 'Nothing that is accepted can be given',
    remedy: 'Ask for a media type or transfer syntax that is named in the message, or for any with "*/*".',
  },
  unauthorized: {
    verdict: 'park',
    http: 401,
    dimse: 0x0124,
    title: 'No valid token',
    remedy: 'Open the link that "raylog start" printed, or send "Authorization: Bearer TOKEN".',
  },
  'not-found': {
    verdict: 'park',
    http: 404,
    dimse: 0xc000,
    title: 'There is no such thing',
    remedy: 'Check the id; a new instance may need a moment to be written.',
  },
  'events-missed': {
    verdict: 'park',
    http: 503,
    dimse: 0xa700,
    title: 'Events were removed before a stage had read them',
    remedy:
      'The stage was further behind than the log keeps events. Raise log.retentionDays or log.maxBytes, and let the stage keep up; the images are still stored: send them again, or replay a backup of the log.',
  },
  'config-invalid': {
    verdict: 'stop',
    http: 500,
    dimse: 0xa700,
    title: 'The configuration is not valid',
    remedy: 'Mend the settings named in the message; "raylog config" shows the effective ones.',
  },
  'data-in-use': {
    verdict: 'stop',
    http: 500,
    dimse: 0xa700,
    title: 'The data folder is in use',
    remedy: 'Another Raylog runs on it: stop that one, or give this one another folder with --data.',
  },
  stopping: {
    verdict: 'wait',
    http: 503,
    dimse: 0xa700,
    intake: true,
    title: 'Raylog is stopping',
    remedy: 'Send again when it is back.',
  },
  internal: {
    verdict: 'retry',
    http: 500,
    dimse: 0xa700,
    intake: true,
    title: 'A fault in Raylog',
    remedy: 'Please report it with the message and the log around it.',
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof table
export const errorTable: Readonly<Record<ErrorCode, ErrorEntry>> = table

/** Whether a text is a code of this version: events and answers of another one may hold others. */
export const isErrorCode = (code: string): code is ErrorCode => Object.hasOwn(table, code)
