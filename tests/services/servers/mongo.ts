/**
 * A server of MongoDB's protocol: mongo-java-server, in memory, from Maven Central. It keeps nothing over a restart and
 * proves nothing about durability, transactions or TTL; what it and MongoDB both do is what Raylog uses.
 */
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../../harness/raylog.ts'
import { execute, installed, javaAtLeast, listens, type Server, startServer, workFolder } from './server.ts'

const version = '1.47.0'
/** What the driver asks for at least. */
const wireVersion = 9

const source = `import de.bwaldvogel.mongo.*; import de.bwaldvogel.mongo.backend.memory.MemoryBackend; import java.util.*;
public class MongoSrv { public static void main(String[] a) throws Exception {
  MongoBackend b = new MemoryBackend();
  b.version(new MongoVersion() { public List<Integer> getVersionArray() { return List.of(4, 4, 0); } public int getWireVersion() { return ${wireVersion}; } });
  MongoServer s = new MongoServer(b);
  s.bind("127.0.0.1", Integer.parseInt(a[0]));
  Runtime.getRuntime().addShutdownHook(new Thread(s::shutdown)); } }`

async function install(folder: string): Promise<void> {
  writeFileSync(
    join(folder, 'pom.xml'),
    `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>mongo</artifactId><version>1</version><dependencies>
<dependency><groupId>de.bwaldvogel</groupId><artifactId>mongo-java-server</artifactId><version>${version}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>2.0.16</version></dependency></dependencies></project>`,
  )
  writeFileSync(join(folder, 'MongoSrv.java'), source)
  await execute('mvn', [
    '-q',
    '-B',
    '-f',
    join(folder, 'pom.xml'),
    'dependency:copy-dependencies',
    `-DoutputDirectory=${join(folder, 'jars')}`,
  ])
  await execute('javac', ['-cp', `${join(folder, 'jars')}/*`, '-d', join(folder, 'cls'), join(folder, 'MongoSrv.java')])
}

export interface Mongo extends AsyncDisposable {
  url: string
  port: number
  server: Server
}

export async function startMongo(): Promise<Mongo> {
  // With the source in the name: another source must not find what an earlier one compiled.
  const digest = createHash('sha256').update(source).digest('hex').slice(0, 8)
  const home = await installed(`mongo-${version}-${digest}`, install)
  const port = await freePort()
  const server = await startServer({
    name: 'MongoDB',
    command: await javaAtLeast(17),
    args: [
      '-Xmx512m',
      '-Dorg.slf4j.simpleLogger.defaultLogLevel=error',
      '-cp',
      `${join(home, 'cls')}:${join(home, 'jars')}/*`,
      'MongoSrv',
      String(port),
    ],
    folder: workFolder('mongo'),
    ready: () => listens(port),
  })
  return {
    url: `mongodb://127.0.0.1:${port}`,
    port,
    server,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}
