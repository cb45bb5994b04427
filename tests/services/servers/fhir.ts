/** HAPI's JPA server, the reference implementation of FHIR in Java, from Maven Central; its tables are in memory. */
import { createHash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../harness/raylog.ts'
import { execute, installed, javaAtLeast, type Server, startServer, workFolder } from './server.ts'

const artifacts = [
  'ca.uhn.hapi.fhir:hapi-fhir-jpaserver-base:7.6.1',
  'com.h2database:h2:2.2.224',
  'org.eclipse.jetty.ee10:jetty-ee10-servlet:12.0.14',
  'org.slf4j:slf4j-nop:2.0.16',
]
/** What only other databases, its search index and its pages need; without them it is half as large. */
const leftOut = ['com.oracle.database.jdbc', 'org.xerial', 'net.sourceforge.plantuml', 'org.webjars']

const source = readFileSync(join(import.meta.dirname, 'FhirServer.java'), 'utf8')

async function install(folder: string): Promise<void> {
  const element = (name: string, content: string) => `<${name}>${content}</${name}>`
  const without = element(
    'exclusions',
    leftOut.map(group => element('exclusion', element('groupId', group) + element('artifactId', '*'))).join(''),
  )
  const dependencies = artifacts.map(artifact => {
    const [group = '', id = '', version = ''] = artifact.split(':')
    return element(
      'dependency',
      element('groupId', group) + element('artifactId', id) + element('version', version) + without,
    )
  })
  const project =
    '<modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>fhir</artifactId><version>1</version>'
  writeFileSync(
    join(folder, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0">${project}${element('dependencies', dependencies.join(''))}</project>`,
  )
  writeFileSync(join(folder, 'FhirServer.java'), source)
  const jars = join(folder, 'jars')
  await execute(
    'mvn',
    ['-q', '-B', '-ntp', '-f', join(folder, 'pom.xml'), 'dependency:copy-dependencies', `-DoutputDirectory=${jars}`],
    { timeout: 600_000 },
  )
  await execute('javac', ['-cp', `${jars}/*`, '-d', join(folder, 'cls'), join(folder, 'FhirServer.java')])
}

/** Where it is installed, which the first call does, or why it is not. */
export async function fhirHome(): Promise<{ home: string } | { missing: string }> {
  const digest = createHash('sha256')
    .update(artifacts.join() + leftOut.join() + source)
    .digest('hex')
    .slice(0, 8)
  try {
    return { home: await installed(`fhir-${digest}`, install) }
  } catch (thrown) {
    const [first = ''] = thrown instanceof Error ? thrown.message.split('\n') : []
    return { missing: `needs a JDK, Maven and ${artifacts[0]}: ${first.slice(0, 120)}` }
  }
}

export interface Fhir extends AsyncDisposable {
  /** Its base. */
  url: string
  port: number
  server: Server
}

export async function startFhir(home: string): Promise<Fhir> {
  const port = await freePort()
  const url = `http://127.0.0.1:${port}/fhir`
  const classes = `${join(home, 'cls')}:${join(home, 'jars')}/*`
  const server = await startServer({
    name: 'FHIR server',
    command: await javaAtLeast(17),
    args: ['-Xmx700m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', classes, 'FhirServer', String(port)],
    folder: workFolder('fhir'),
    ready: () =>
      fetch(`${url}/Patient?_summary=count`).then(
        ({ ok }) => ok,
        () => false,
      ),
  })
  return { url, port, server, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() }
}
