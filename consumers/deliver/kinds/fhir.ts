/** FHIR R4: a report in format `fhir` is a transaction bundle, posted to the base of a server (FHIR 3.1.0.11). */
import { z } from 'zod'
import type { Clock } from '../../../monitoring/clock.ts'
import { keepsNewestAlone } from '../../../schemas/report-delivery.ts'
import { authorizationOf, loginSettings, secureOptions, tlsSettings } from '../credentials.ts'
import { post, unsuccessful } from '../post.ts'
import { type Receipt, type Sender, Undelivered } from '../sender.ts'

export const fhirSettings = {
  kind: z.literal('fhir'),
  url: z
    .url({ protocol: /^https?$/ })
    .refine(url => URL.canParse(url) && new URL(url).username === '', 'leave user and password out of the URL')
    .describe('base of the server, such as https://fhir.example.org/r4'),
  ...loginSettings,
  concurrency: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe(
      'bundles on their way at once, by all processes. They share patient and device, which the first makes: of two at once a server may make two',
    ),
  tls: tlsSettings.prefault({}),
  timeoutMs: z.int().min(100).max(3_600_000).default(60_000).describe('for one report, ms'),
}
const settings = z.strictObject(fhirSettings)

/** Conflict: another transaction was at the same resource, and none of this one was done (FHIR 3.1.0.11). */
const conflict = 409

const transaction = z.looseObject({ resourceType: z.literal('Bundle'), type: z.literal('transaction') })
const response = z.looseObject({
  resourceType: z.literal('Bundle'),
  type: z.literal('transaction-response'),
  entry: z.array(z.looseObject({ response: z.looseObject({ status: z.string() }).optional() })).default([]),
})

export function fhirSender(name: string, config: z.infer<typeof settings>, clock: Clock): Sender {
  const { url, tls, timeoutMs } = config
  return {
    takes: ({ format }) => format === 'fhir',
    // The bundle updates what an earlier revision made: an older one must not come after it.
    newestOnly: keepsNewestAlone('fhir'),
    async send({ bytes }, signal): Promise<Receipt> {
      if (!transaction.safeParse(parsed(bytes.toString('utf8'))).success)
        throw new Undelivered('not a transaction bundle', { code: 'bad-record', final: true })
      const authorization = authorizationOf(config)
      const headers = {
        'content-type': 'application/fhir+json',
        accept: 'application/fhir+json',
        prefer: 'return=minimal',
        ...(authorization === undefined ? {} : { authorization }),
      }
      const answer = await post({ name, url, headers, body: [bytes], tls: secureOptions(tls), timeoutMs }, signal)
      if (answer.status < 200 || answer.status >= 300) throw unsuccessful(name, answer, clock.now(), [conflict])
      // Of a transaction all or nothing is done; a server that only kept the bundle answers otherwise.
      const said = response.safeParse(parsed(answer.body))
      if (!said.success)
        throw new Undelivered(`${name} did not answer with a transaction-response`, {
          code: 'peer-refused',
          final: true,
        })
      return { text: `HTTP ${answer.status}, ${said.data.entry.length} entries` }
    },
    close: async () => undefined,
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined // what it is then, the schemas say
  }
}
