/** The services of distributed mode, real ones, and the settings that point at them. */
import { type Kafka, startKafka } from '../servers/kafka.ts'
import { type Mongo, startMongo } from '../servers/mongo.ts'
import { type Registry, startRegistry } from '../servers/registry.ts'
import { type S3, startS3 } from '../servers/s3.ts'

export interface Services extends AsyncDisposable {
  kafka: Kafka
  registry: Registry
  mongo: Mongo
  s3: S3
  /** `path=value`, as for `--set`. */
  settings: string[]
}

export interface ServiceOptions {
  /** Of Kafka; with three, topics are made with three copies. */
  nodes?: 1 | 3
  /** Where Raylog finds a service, if not at the service itself: through a proxy. Made when the services run. */
  through?: (services: Omit<Services, 'settings'>) => Promise<Partial<Addresses>>
}

export interface Addresses {
  brokers: readonly string[]
  registryUrl: string
  mongoUrl: string
  s3Url: string
}

export async function startServices({ nodes = 1, through }: ServiceOptions = {}): Promise<Services> {
  await using starting = new AsyncDisposableStack()
  const begun = [
    startKafka(nodes).then(server => starting.use(server)),
    startRegistry().then(server => starting.use(server)),
    startMongo().then(server => starting.use(server)),
    startS3().then(server => starting.use(server)),
  ] as const
  // Where one does not start the others are waited for, so that they are ended too.
  await Promise.allSettled(begun)
  const [kafka, registry, mongo, s3] = await Promise.all(begun)
  const running = starting.move()
  const services = { kafka, registry, mongo, s3, [Symbol.asyncDispose]: () => running.disposeAsync() }
  const direct: Addresses = { brokers: kafka.brokers, registryUrl: registry.url, mongoUrl: mongo.url, s3Url: s3.url }
  const at = { ...direct, ...(await through?.(services)) }
  return {
    ...services,
    settings: [
      'mode=distributed',
      `kafka.brokers=[${at.brokers.map(broker => `"${broker}"`).join(',')}]`,
      `kafka.registry.url=${at.registryUrl}`,
      `kafka.replication=${nodes}`,
      'kafka.sessionTimeoutMs=6000',
      'kafka.heartbeatMs=500',
      `mongo.url=${at.mongoUrl}`,
      `s3.endpoint=${at.s3Url}`,
      's3.bucket=raylog-test',
      's3.makeBucket=true',
      `s3.accessKey=${s3.accessKey}`,
      `s3.secretKey=${s3.secretKey}`,
    ],
  }
}
