/** Apache Kafka (KRaft, broker and controller in one) of one or three nodes, from the jars on Maven Central. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../harness/raylog.ts'
import { execute, installed, javaAtLeast, listens, type Server, startServer, workFolder } from './server.ts'

/** 4.4.0 lacks an artifact. */
const version = '4.3.1'

export interface Kafka extends AsyncDisposable {
  brokers: string[]
  nodes: Server[]
  /** Where it was asked for. */
  secure: Secure | undefined
}

/** Listeners that ask for more than a connection. */
export interface Secure {
  /** TLS and a login: PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512 as `login`. */
  sasl: string
  /** TLS with the client's certificate. */
  mutual: string
  /** PEM. One certificate is the broker's, its CA's and the client's. */
  certificate: string
  key: string
  login: { username: string; password: string }
}

const login = { username: 'raylog', password: 'only-for-tests' }

async function install(folder: string): Promise<void> {
  const dependency = (group: string, artifact: string, at: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${at}</version></dependency>`
  writeFileSync(
    join(folder, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>local</groupId><artifactId>kafka-dist</artifactId><version>1</version><packaging>pom</packaging><dependencies>
${dependency('org.apache.kafka', 'kafka_2.13', version)}
${dependency('org.apache.kafka', 'kafka-tools', version)}
${dependency('org.apache.logging.log4j', 'log4j-slf4j-impl', '2.25.3')}
${dependency('org.apache.logging.log4j', 'log4j-core', '2.25.3')}
</dependencies></project>`,
  )
  mkdirSync(join(folder, 'conf'))
  writeFileSync(
    join(folder, 'conf/log4j2.properties'),
    'rootLogger.level=WARN\nrootLogger.appenderRef.c.ref=C\nappender.c.type=Console\nappender.c.name=C\nappender.c.layout.type=PatternLayout\nappender.c.layout.pattern=%d %p %m (%c)%n\n',
  )
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'
  await execute('mvn', [
    '-B',
    '-q',
    '-ntp',
    '-f',
    join(folder, 'pom.xml'),
    copy,
    '-DincludeScope=runtime',
    `-DoutputDirectory=${join(folder, 'lib')}`,
  ])
}

/** @param count 1, or 3 with replication 3 and two in-sync replicas needed for an answer */
export async function startKafka(count: 1 | 3 = 1, { secure = false } = {}): Promise<Kafka> {
  const home = await installed(`kafka-${version}`, install)
  const java = await javaAtLeast(17)
  const classPath = `${join(home, 'conf')}:${join(home, 'lib')}/*`
  const ports = await Promise.all(Array.from({ length: count * 4 }, freePort))
  const brokerPort = (node: number) => ports[node] ?? 0
  const controllerPort = (node: number) => ports[count + node] ?? 0
  const saslPort = (node: number) => ports[count * 2 + node] ?? 0
  const mutualPort = (node: number) => ports[count * 3 + node] ?? 0
  const pem = secure ? await selfSigned() : undefined
  const voters = Array.from({ length: count }, (_, node) => `${node + 1}@127.0.0.1:${controllerPort(node)}`).join(',')
  const cluster = 'raylog-tests-cluster-0'
  const nodes = await Promise.all(
    Array.from({ length: count }, async (_, node) => {
      const folder = workFolder('kafka')
      const file = join(folder, 'server.properties')
      const replicas = { brokers: count, isr: count === 1 ? 1 : 2 }
      writeFileSync(
        file,
        properties({
          id: node + 1,
          folder,
          voters,
          broker: brokerPort(node),
          controller: controllerPort(node),
          ...replicas,
          secure: pem && { sasl: saslPort(node), mutual: mutualPort(node), ...pem },
        }),
      )
      await execute(java, [
        '-Xmx128m',
        '-XX:TieredStopAtLevel=1',
        '-cp',
        classPath,
        'kafka.tools.StorageTool',
        'format',
        '-t',
        cluster,
        '-c',
        file,
        ...(secure ? ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap(scramUser) : []),
      ])
      return startServer({
        name: `Kafka node ${node + 1}`,
        command: java,
        args: [
          '-Xms128m',
          '-Xmx512m',
          '-XX:+UseSerialGC',
          '-XX:TieredStopAtLevel=4',
          '-cp',
          classPath,
          'kafka.Kafka',
          file,
        ],
        folder,
        ready: () => listens(brokerPort(node)),
      })
    }),
  )
  return {
    brokers: nodes.map((_, node) => `127.0.0.1:${brokerPort(node)}`),
    nodes,
    secure: pem && {
      sasl: `127.0.0.1:${saslPort(0)}`,
      mutual: `127.0.0.1:${mutualPort(0)}`,
      certificate: readFileSync(pem.certificate, 'utf8'),
      key: readFileSync(pem.key, 'utf8'),
      login,
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map(node => node[Symbol.asyncDispose]()))
      if (pem) rmSync(pem.folder, { recursive: true, force: true })
    },
  }
}

const scramUser = (mechanism: string): string[] => [
  '--add-scram',
  `${mechanism}=[name=${login.username},password=${login.password}]`,
]

/** Files of a certificate for 127.0.0.1, its key, and both in one. */
async function selfSigned(): Promise<{ folder: string; certificate: string; key: string; both: string }> {
  const folder = workFolder('kafka-pem')
  const certificate = join(folder, 'cert.pem')
  const key = join(folder, 'key.pem')
  const both = join(folder, 'both.pem')
  const request = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=raylog-tests']
  await execute('openssl', [...request, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', certificate])
  writeFileSync(both, readFileSync(key, 'utf8') + readFileSync(certificate, 'utf8'))
  return { folder, certificate, key, both }
}

/** One listener with TLS and a login, one with TLS for both sides. */
function secureProperties(secure: { certificate: string; both: string } | undefined): string {
  if (!secure) return ''
  return `ssl.keystore.type=PEM
ssl.keystore.location=${secure.both}
ssl.truststore.type=PEM
ssl.truststore.location=${secure.certificate}
listener.name.mutual.ssl.client.auth=required
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required username="broker" password="unused" user_${login.username}="${login.password}";
listener.name.sasl.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
listener.name.sasl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
`
}

function properties(node: {
  id: number
  folder: string
  voters: string
  broker: number
  controller: number
  brokers: number
  isr: number
  secure: { sasl: number; mutual: number; certificate: string; both: string } | undefined
}): string {
  const { brokers, isr, secure } = node
  const more = secure ? `,SASL://127.0.0.1:${secure.sasl},MUTUAL://127.0.0.1:${secure.mutual}` : ''
  return `process.roles=broker,controller
node.id=${node.id}
controller.quorum.voters=${node.voters}
listeners=PLAINTEXT://127.0.0.1:${node.broker},CONTROLLER://127.0.0.1:${node.controller}${more}
advertised.listeners=PLAINTEXT://127.0.0.1:${node.broker}${more}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL:SASL_SSL,MUTUAL:SSL
${secureProperties(secure)}log.dirs=${node.folder}/data
default.replication.factor=${brokers}
min.insync.replicas=${isr}
offsets.topic.replication.factor=${brokers}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=${brokers}
transaction.state.log.min.isr=${isr}
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=${brokers}
share.coordinator.state.topic.min.isr=${isr}
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
auto.create.topics.enable=false
log.retention.check.interval.ms=10000
log.cleaner.backoff.ms=1000
num.network.threads=2
num.io.threads=4
background.threads=2
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
`
}
