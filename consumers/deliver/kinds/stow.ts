/** STOW-RS to a peer's DICOMweb services (PS3.18 10.5), one instance a request. */
import { z } from 'zod'
import type { Network } from '../../../kafka/ports.ts'
import type { Clock } from '../../../monitoring/clock.ts'
import { RaylogError } from '../../../schemas/errors.ts'
import { authorizationOf, secureOptions, tlsSettings } from '../credentials.ts'
import { isDicomFile } from '../names.ts'
import { type Answer, post, unsuccessful } from '../post.ts'
import { type Sender, Undelivered } from '../sender.ts'

export const stowSettings = {
  kind: z.literal('stow'),
  peer: z.string().describe('name of a peer in `peers`, which has its dicomweb URL and login'),
  tls: tlsSettings.prefault({}),
  timeoutMs: z.int().min(100).max(3_600_000).default(60_000).describe('for one report, ms'),
}
const settings = z.strictObject(stowSettings)

/** Store Instances Response Module (PS3.18 I.2), what of it we read. */
const stored = z.looseObject({
  '00081198': z
    .looseObject({
      Value: z
        .array(z.looseObject({ '00081197': z.looseObject({ Value: z.array(z.number()).optional() }).optional() }))
        .optional(),
    })
    .optional(),
})

interface Options {
  settings: z.infer<typeof settings>
  network: Network
  clock: Clock
}

/** @throws RaylogError config-invalid where the peer has no DICOMweb */
export function stowSender({ settings: { peer: name, tls, timeoutMs }, network, clock }: Options): Sender {
  const dicomweb = network.peers.find(one => one.name === name)?.dicomweb
  if (!dicomweb) throw new RaylogError('config-invalid', `deliver: there is no peer ${name} with dicomweb`)
  const url = `${dicomweb.url.replace(/\/$/, '')}/studies`
  return {
    takes: ({ isDicom }) => isDicom(),
    newestOnly: false,
    async send({ delivery, bytes }, signal) {
      if (!isDicomFile(bytes)) throw new Undelivered('not a DICOM file', { code: 'bad-record', final: true })
      const authorization = authorizationOf({ password: null, token: null, ...dicomweb })
      // Not in the bytes: it holds the whole id of the delivery, which no report does.
      const boundary = `raylog-${delivery.id}-${delivery.version}`
      const headers = {
        'content-type': `multipart/related; type="application/dicom"; boundary=${boundary}`,
        accept: 'application/dicom+json',
        ...(authorization === undefined ? {} : { authorization }),
      }
      const body = [
        Buffer.from(`--${boundary}\r\nContent-Type: application/dicom\r\n\r\n`),
        bytes,
        Buffer.from(`\r\n--${boundary}--\r\n`),
      ]
      const answer = await post({ name, url, headers, body, tls: secureOptions(tls), timeoutMs }, signal)
      return { text: checked(name, answer, clock.now()) }
    },
    close: async () => undefined,
  }
}

/** 202 and 409 mean that some failed (PS3.18 table 10.5.3-1); of one instance that is this one. */
function checked(name: string, answer: Answer, now: number): string {
  const { status } = answer
  const reason = failureOf(answer)
  if (reason !== undefined) {
    const again = (reason & 0xff00) === 0xa700 || reason === 0x0110
    const text = `${name}: not stored, reason 0x${reason.toString(16).toUpperCase().padStart(4, '0')}`
    throw new Undelivered(text, { code: again ? 'delivery-failed' : 'peer-refused', final: !again })
  }
  if (status < 200 || status >= 300) throw unsuccessful(name, answer, now)
  return `HTTP ${status}`
}

/** Failure Reason (0008,1197); undefined where none failed. */
function failureOf({ body }: Answer): number | undefined {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch {
    return undefined // an answer need not have a body
  }
  const [failed] = stored.safeParse(json).data?.['00081198']?.Value ?? []
  return failed && (failed['00081197']?.Value?.[0] ?? 0x0110)
}
