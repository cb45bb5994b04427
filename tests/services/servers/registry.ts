/** Apicurio Registry with its Confluent-compatible API, from the archive on Maven Central. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../harness/raylog.ts'
import { answers, execute, installed, javaAtLeast, type Server, startServer, workFolder } from './server.ts'

const version = '3.3.3'

async function install(folder: string): Promise<void> {
  const copy = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy'
  const artifact = `io.apicurio:apicurio-registry-app:${version}:tar.gz:all`
  await execute('mvn', ['-B', '-q', '-ntp', copy, `-Dartifact=${artifact}`, `-DoutputDirectory=${folder}`])
  mkdirSync(join(folder, 'app'))
  await execute('tar', ['xzf', join(folder, `apicurio-registry-app-${version}-all.tar.gz`), '-C', join(folder, 'app')])
}

export interface Registry extends AsyncDisposable {
  url: string
  port: number
  server: Server
}

export async function startRegistry(): Promise<Registry> {
  const home = await installed(`registry-${version}`, install)
  const java = await javaAtLeast(21)
  const [port, management] = await Promise.all([freePort(), freePort()])
  const folder = workFolder('registry')
  const url = `http://127.0.0.1:${port}/apis/ccompat/v7`
  const server = await startServer({
    name: 'schema registry',
    command: java,
    args: [
      '-Xms64m',
      '-Xmx384m',
      '-XX:+UseSerialGC',
      '-XX:TieredStopAtLevel=1',
      '-Djava.util.logging.manager=org.jboss.logmanager.LogManager',
      '-jar',
      join(home, 'app/quarkus-run.jar'),
    ],
    folder,
    env: {
      QUARKUS_HTTP_HOST: '127.0.0.1',
      QUARKUS_HTTP_PORT: String(port),
      QUARKUS_LOG_LEVEL: 'WARN',
      QUARKUS_OTEL_SDK_DISABLED: 'true',
      QUARKUS_MANAGEMENT_HOST: '127.0.0.1',
      QUARKUS_MANAGEMENT_PORT: String(management),
      APICURIO_STORAGE_KIND: 'sql',
      APICURIO_STORAGE_SQL_KIND: 'h2',
      APICURIO_DATASOURCE_URL: `jdbc:h2:file:${folder}/h2/registry;DB_CLOSE_ON_EXIT=FALSE`,
      APICURIO_STORAGE_SNAPSHOT_LOCATION: folder,
    },
    ready: () => answers(`${url}/subjects`),
  })
  return { url, port, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}
