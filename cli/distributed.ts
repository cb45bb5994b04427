/** The stores of distributed mode: Kafka with a schema registry, MongoDB, and any S3. As many processes as wanted. */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Plan } from '../kafka/compile.ts'
import { type KafkaLog, type KafkaSettings, openKafkaLog } from '../kafka/kafkajs/log.ts'
import type { PlatformConfig } from '../schemas/config.ts'
import { RaylogError } from '../schemas/errors.ts'
import type { KafkaSection, S3Section } from '../schemas/stores.ts'
import { openMongoDocuments } from '../storage/mongo-documents.ts'
import { openS3Objects, type S3Options } from '../storage/s3-objects.ts'
import type { Stores, Surroundings } from './ports.ts'

/** The log by itself, with what can be done to its topics. @throws RaylogError config-invalid, log-unavailable */
export async function kafkaLog({ config }: Plan, { logger, clock }: Surroundings): Promise<KafkaLog> {
  const settings = toKafka(sectionsOf(config).kafka, join(config.data, 'schemas'))
  return openKafkaLog({ settings, clock, logger })
}

/**
 * Secrets are read when a store is opened: a process needs those of its own stores alone.
 * @throws RaylogError config-invalid for a file that cannot be read; log-unavailable, store-unavailable
 */
export function distributedStores(plan: Plan, surroundings: Surroundings): Stores {
  const { config } = plan
  const { logger, clock } = surroundings
  mkdirSync(config.data, { recursive: true, mode: 0o700 })
  const { mongo, s3 } = sectionsOf(config)
  return {
    log: () => kafkaLog(plan, surroundings),
    documents: async () => {
      const url = secretOf('mongo.url', mongo.url, mongo.urlFile)
      return openMongoDocuments({ url, database: mongo.database, logger, clock })
    },
    objects: async () => openS3Objects({ ...toS3(s3, join(config.data, 'tmp', 's3')), clock }),
  }
}

/** @throws RaylogError config-invalid; compile has said so before */
function sectionsOf({ kafka, mongo, s3 }: PlatformConfig) {
  if (!kafka || !mongo || !s3)
    throw new RaylogError('config-invalid', 'distributed mode needs the sections kafka, mongo and s3')
  return { kafka, mongo, s3 }
}

/** Settings of the Kafka log, with the secrets and certificates that they name read from their files. */
function toKafka(kafka: KafkaSection, cacheFolder: string): KafkaSettings {
  const { ssl, sasl, registry, ...plain } = kafka
  return {
    ...plain,
    ssl: ssl
      ? {
          ...(ssl.caFile === null ? {} : { ca: contentOf('kafka.ssl.caFile', ssl.caFile) }),
          ...(ssl.certFile === null ? {} : { cert: contentOf('kafka.ssl.certFile', ssl.certFile) }),
          ...(ssl.keyFile === null ? {} : { key: contentOf('kafka.ssl.keyFile', ssl.keyFile) }),
        }
      : false,
    sasl: sasl && toSasl(sasl),
    registry: {
      url: registry.url,
      cacheFolder,
      auth: registry.auth && {
        username: registry.auth.username,
        password: secretOf('kafka.registry.auth.password', registry.auth.password, registry.auth.passwordFile),
      },
    },
  }
}

function toSasl({ mechanism, username, password, passwordFile }: NonNullable<KafkaSection['sasl']>) {
  const login = { username, password: secretOf('kafka.sasl.password', password, passwordFile) }
  switch (mechanism) {
    case 'plain':
      return { mechanism, ...login }
    case 'scram-sha-256':
      return { mechanism, ...login }
    case 'scram-sha-512':
      return { mechanism, ...login }
  }
}

function toS3(s3: S3Section, tempFolder: string): S3Options {
  const { endpoint, bucket, region, prefix, pathStyle, makeBucket, encryption, kmsKey } = s3
  return {
    ...{ endpoint, bucket, region, prefix, pathStyle, makeBucket, tempFolder },
    accessKey: secretOf('s3.accessKey', s3.accessKey, s3.accessKeyFile),
    secretKey: secretOf('s3.secretKey', s3.secretKey, s3.secretKeyFile),
    sse: encryption === 'none' ? null : encryption === 'kms' && kmsKey !== null ? { kmsKey } : 's3',
  }
}

/** A file's secret wins over one given as itself; the line break at its end does not count. */
function secretOf(name: string, value: string | null, file: string | null): string {
  const secret = file === null ? value : contentOf(`${name}File`, file).replace(/\r?\n$/, '')
  if (!secret) throw new RaylogError('config-invalid', `${name}: give it, or a file that holds it as ${name}File`)
  return secret
}

function contentOf(name: string, path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unreadable'
    throw new RaylogError('config-invalid', `${name}: ${path} cannot be read (${code})`, { cause })
  }
}
