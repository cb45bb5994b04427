/** HL7 version 2 over MLLP: a report in format `hl7` is a message, and its control id is how a receiver knows it again. */
import { z } from 'zod'
import { controlIdOf, type MllpClient, NotAcknowledged, openMllp } from '../../../hl7/mllp.ts'
import { keepsNewestAlone } from '../../../schemas/report-delivery.ts'
import { secureOptions, tlsSettings } from '../credentials.ts'
import { type Sender, Undelivered } from '../sender.ts'

export const hl7Settings = {
  kind: z.literal('hl7'),
  host: z.string().min(1),
  port: z.int().min(1).max(65_535),
  tls: tlsSettings.nullable().default(null).describe('null: MLLP without TLS'),
  timeoutMs: z.int().min(100).max(3_600_000).default(30_000).describe('for the connection, and the answer, ms'),
  idleMs: z.int().min(0).max(3_600_000).default(30_000).describe('an unused connection is kept so long, ms'),
}
const settings = z.strictObject(hl7Settings)

export function hl7Sender(name: string, { host, port, tls, timeoutMs, idleMs }: z.infer<typeof settings>): Sender {
  let client: MllpClient | undefined
  return {
    takes: ({ format }) => format === 'hl7',
    // The receiver shows what came last.
    newestOnly: keepsNewestAlone('hl7'),
    async send({ bytes }, signal) {
      const controlId = controlIdOf(bytes)
      client ??= openMllp({ host, port, tls: tls && secureOptions(tls), timeoutMs, idleMs })
      const mine = client
      const { code, error } = await mine.send(bytes, signal).catch((thrown: unknown) => {
        // The next reads the files anew: the certificates may be others by now.
        if (client === mine) client = undefined
        mine.close()
        if (!(thrown instanceof NotAcknowledged)) throw thrown
        throw new Undelivered(`${name}: ${thrown.message}`, {
          ...{ code: thrown.code, answered: false, mayHaveArrived: thrown.sent, cause: thrown },
        })
      })
      const text = error === '' ? code : `${code} ${error}`
      if (code === 'AA' || code === 'CA') return { text: `${text} for ${controlId}` }
      // An error of the receiver may pass; a rejection is of this message (HL7 2.5.1, 2.9.2.1).
      const final = code === 'AR' || code === 'CR'
      throw new Undelivered(`${name} acknowledged with ${text}`, {
        code: final ? 'peer-refused' : 'delivery-failed',
        final,
      })
    },
    async close() {
      client?.close()
    },
  }
}
