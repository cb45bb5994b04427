/**
 * Settings of the services of distributed mode. Each secret may be given as itself or as the path of a file that holds it
 * (`password`, `passwordFile`): files are how Docker and Kubernetes hand secrets over.
 */
import { z } from 'zod'

const secret = (what: string) => z.string().min(1).nullable().default(null).describe(what)
const secretFile = (name: string) =>
  z.string().min(1).nullable().default(null).describe(`file that holds ${name}, which then need not be given`)

const login = {
  username: z.string().min(1),
  password: secret('or passwordFile'),
  passwordFile: secretFile('password'),
}

export const kafkaSection = z.strictObject({
  brokers: z.array(z.string().min(1)).min(1).describe('host:port of some brokers; the rest are found through them'),
  clientId: z.string().min(1).default('raylog').describe('what the brokers call this process in their logs'),
  ssl: z
    .strictObject({
      caFile: z.string().nullable().default(null).describe("PEM of the brokers' CA; null: those of Node"),
      certFile: z.string().nullable().default(null).describe('PEM of the client certificate, with keyFile'),
      keyFile: z.string().nullable().default(null).describe('PEM of the client key'),
    })
    .nullable()
    .default(null)
    .describe('null: no TLS'),
  sasl: z
    .strictObject({ mechanism: z.enum(['plain', 'scram-sha-256', 'scram-sha-512']), ...login })
    .nullable()
    .default(null)
    .describe('null: no login'),
  replication: z
    .int()
    .min(1)
    .max(9)
    .default(1)
    .describe('copies of each topic that is made; 3 where there are 3 brokers'),
  maxRecordBytes: z.int().min(10_000).max(64_000_000).default(8_000_000).describe('largest record, bytes'),
  deliveryMs: z
    .int()
    .min(1_000)
    .max(600_000)
    .default(30_000)
    .describe('a record that is not confirmed within this time is given up, and its sender refused, ms'),
  instanceId: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,249}$/)
    .nullable()
    .default(null)
    .describe(
      'a name that this process alone has: started again within sessionTimeoutMs it goes on with its partitions, and the others notice nothing; null: none',
    ),
  sessionTimeoutMs: z
    .int()
    .min(1_000)
    .max(300_000)
    .default(10_000)
    .describe('a process that is silent so long has lost its partitions, ms'),
  heartbeatMs: z.int().min(100).max(60_000).default(500).describe('between two signs of life, ms'),
  rebalanceTimeoutMs: z
    .int()
    .min(1_000)
    .max(600_000)
    .default(30_000)
    .describe('time to finish what is under way before partitions move, ms'),
  registry: z.strictObject({
    url: z.url().describe('Confluent-compatible schema registry'),
    auth: z.strictObject(login).nullable().default(null).describe('null: no login'),
  }),
})

export const mongoSection = z
  .strictObject({
    url: secret('mongodb://… or mongodb+srv://…, credentials and TLS in it; or urlFile'),
    urlFile: secretFile('url'),
    database: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,63}$/)
      .default('raylog'),
  })
  .refine(({ url, urlFile }) => url !== null || urlFile !== null, { error: 'give url or urlFile' })

export const s3Section = z
  .strictObject({
    endpoint: z.url().describe('https://host or https://host:port'),
    bucket: z.string().min(3).max(63),
    region: z.string().min(1).default('us-east-1'),
    accessKey: secret('or accessKeyFile'),
    accessKeyFile: secretFile('accessKey'),
    secretKey: secret('or secretKeyFile'),
    secretKeyFile: secretFile('secretKey'),
    prefix: z.string().default('').describe('before every key, so that a bucket can be shared'),
    pathStyle: z.boolean().default(true).describe('https://host/bucket/key; false: https://bucket.host/key'),
    makeBucket: z.boolean().default(false).describe('make the bucket if it is not there'),
    encryption: z.enum(['none', 's3', 'kms']).default('none').describe('of the server, asked for with each object'),
    kmsKey: z.string().nullable().default(null).describe('id of the key, for encryption: kms'),
  })
  .refine(({ accessKey, accessKeyFile }) => accessKey !== null || accessKeyFile !== null, {
    error: 'give accessKey or accessKeyFile',
  })
  .refine(({ secretKey, secretKeyFile }) => secretKey !== null || secretKeyFile !== null, {
    error: 'give secretKey or secretKeyFile',
  })
  .refine(({ encryption, kmsKey }) => encryption !== 'kms' || kmsKey !== null, {
    error: 'encryption: kms needs kmsKey',
  })

export type KafkaSection = z.infer<typeof kafkaSection>
export type MongoSection = z.infer<typeof mongoSection>
export type S3Section = z.infer<typeof s3Section>
