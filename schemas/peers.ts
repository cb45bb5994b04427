/**
 * Settings of the DICOM and DICOMweb systems around us: who may call, for what, and how they are called. One list for the
 * receiver, its query and retrieve services, the retrieve client and deliveries.
 */
import { isIP } from 'node:net'
import { z } from 'zod'

/** 16 characters of the default repertoire, no backslash, no spaces around them (PS3.5 6.2, VR AE). */
export const aeTitle = z.string().regex(/^[!-[\]-~]([ -[\]-~]{0,14}[!-[\]-~])?$/, 'not an AE title')

export const peerServices = ['store', 'query', 'retrieve', 'commitment'] as const
export type PeerService = (typeof peerServices)[number]

const uid = z
  .string()
  .max(64)
  .regex(/^[0-9]+(\.[0-9]+)+$/, 'not a UID')
const cidr = z.string().refine(isAddressRange, 'an IP address, or a range such as 10.1.0.0/16')

function isAddressRange(text: string): boolean {
  const [address = '', bits, ...rest] = text.split('/')
  const family = isIP(address)
  if (family === 0 || rest.length > 0) return false
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
}

/** How a certificate is recognized: by one of these, or both. That it is valid and of our CA is checked besides. */
const certificate = z
  .strictObject({
    sha256: z
      .string()
      .regex(/^([0-9A-Fa-f]{2}:?){31}[0-9A-Fa-f]{2}$/, '32 bytes in hex, with or without colons')
      .transform(text => text.replaceAll(':', '').toUpperCase())
      .nullable()
      .default(null)
      .describe('fingerprint, as "openssl x509 -fingerprint -sha256" prints it'),
    commonName: z.string().min(1).nullable().default(null).describe("CN of the certificate's subject"),
  })
  .refine(({ sha256, commonName }) => sha256 !== null || commonName !== null, 'give sha256 or commonName')

const dicomweb = z.strictObject({
  url: z
    .url({ protocol: /^https?$/ })
    .describe('root of QIDO-RS and WADO-RS, such as https://pacs.example.org/dicom-web'),
  username: z.string().min(1).nullable().default(null).describe('HTTP Basic, with passwordFile'),
  passwordFile: z.string().min(1).nullable().default(null),
  tokenFile: z.string().min(1).nullable().default(null).describe('file that holds a bearer token, read at each job'),
})

export const peer = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/)
      .describe('what people call it'),
    aeTitle: aeTitle.nullable().default(null).describe('null: it speaks DICOMweb alone'),
    host: z.string().min(1).nullable().default(null).describe('where it is called'),
    port: z.int().min(1).max(65_535).nullable().default(null).describe('where it is called'),
    tls: z.boolean().default(false).describe('it is called over TLS, with the certificate of dicomTls'),
    dicomweb: dicomweb.nullable().default(null).describe('where its DICOMweb services are'),
    addresses: z
      .array(cidr)
      .max(100)
      .default([])
      .describe('addresses and ranges that it may call from; empty: its host, where that is an address'),
    certificate: certificate
      .nullable()
      .default(null)
      .describe('it must show this one, over TLS; null: TLS is not asked of it'),
    services: z
      .array(z.enum(peerServices))
      .default(['store'])
      .describe('what it may ask of us, C-ECHO besides; empty: nothing, we only call it'),
    sopClasses: z.array(uid).max(1_000).default([]).describe('storage SOP classes that it may send; empty: all'),
    maxAssociations: z.int().min(1).max(10_000).nullable().default(64).describe('at once; null: no limit of its own'),
    maxInstancesPerSecond: z
      .number()
      .positive()
      .max(100_000)
      .nullable()
      .default(null)
      .describe('it is made to wait, nothing is refused'),
    maxBytesPerSecond: z
      .int()
      .min(1_024)
      .nullable()
      .default(null)
      .describe('it is made to wait, nothing is refused; bytes'),
    site: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,64}$/)
      .nullable()
      .default(null)
      .describe('hospital or tenant that its images belong to; null: the site of this installation'),
    priority: z.enum(['routine', 'urgent', 'stat']).default('routine').describe('of its images'),
    countsFrom: z
      .string()
      .nullable()
      .default(null)
      .describe(
        'name of the peer that is asked (C-FIND) how many images a study of this one has, its own name for itself; null: nobody',
      ),
    deidentify: z
      .boolean()
      .default(false)
      .describe('what goes to it by C-MOVE and C-GET is de-identified on the way, by the rules of `deidentify`'),
    models: z.array(z.string().min(1)).max(100).default([]).describe('asked for by name; empty: the rules decide'),
  })
  .superRefine((one, context) => {
    const calls = one.aeTitle !== null && one.services.length > 0
    const known = one.certificate !== null || one.addresses.length > 0 || (one.host !== null && isIP(one.host) !== 0)
    if (calls && !known)
      context.addIssue({
        code: 'custom',
        message: `${one.name}: an AE title alone proves nothing; give addresses, a host that is an address, a certificate, or services: []`,
      })
    if (one.aeTitle !== null && one.host === null && one.port !== null)
      context.addIssue({ code: 'custom', message: `${one.name}: a port without a host` })
  })

export type Peer = z.infer<typeof peer>

export const peersSection = z
  .array(peer)
  .max(10_000)
  .refine(all => new Set(all.map(({ name }) => name)).size === all.length, 'two peers have the same name')
  .superRefine((all, context) => {
    for (const { name, countsFrom } of all) {
      const archive = all.find(one => one.name === countsFrom)
      if (countsFrom === null || (archive?.aeTitle != null && archive.host !== null)) continue
      context.addIssue({
        code: 'custom',
        message: `${name}: countsFrom is ${countsFrom}, no peer with aeTitle and host`,
      })
    }
  })
  .default([])
  .describe('DICOM and DICOMweb systems around this one: who may call, for what, and how they are called')

/** Our identity over TLS, as server and as client. Files are read again when they change. */
export const dicomTlsSection = z.strictObject({
  certFile: z.string().min(1).describe('PEM of our certificate, intermediate ones after it'),
  keyFile: z.string().min(1).describe('PEM of its key'),
  caFile: z.string().min(1).describe('PEM of the CAs whose certificates peers may show'),
  checkHostName: z
    .boolean()
    .default(true)
    .describe(
      'a peer that we call must have the certificate of its host name; those with certificate settings need not',
    ),
})

export type DicomTls = z.infer<typeof dicomTlsSection>
