/** A certificate authority for a test, made with openssl: valid certificates, expired ones, ones of nobody's. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Certificate {
  certFile: string
  keyFile: string
}

export interface Authority {
  caFile: string
  issue(what: { name: string /** It was valid for one day in the past. */; expired?: boolean }): Certificate
}

const openssl = (...args: string[]) => execFileSync('openssl', args, { stdio: 'pipe' })

/** @param folder is made; the files stay in it */
export function makeAuthority(folder: string, commonName = 'Test CA'): Authority {
  mkdirSync(folder, { recursive: true })
  const file = (name: string) => join(folder, name)
  const [caFile, caKey] = [file('ca.pem'), file('ca.key')]
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-keyout', caKey, '-out', caFile, '-days', '30', '-subj', `/CN=${commonName}`)
  let serial = 0
  return {
    caFile,
    issue({ name, expired = false }) {
      const at = file(`${name}-${++serial}`)
      const made = { certFile: `${at}.pem`, keyFile: `${at}.key` }
      // RSA: receivers of the field, and the suites of the older profiles, know it best.
      openssl(
        'req',
        '-newkey',
        'rsa:2048',
        '-nodes',
        '-keyout',
        made.keyFile,
        '-out',
        `${at}.csr`,
        '-subj',
        `/CN=${name}`,
      )
      writeFileSync(`${at}.ext`, `subjectAltName=DNS:${name},IP:127.0.0.1\n`)
      const signed = ['x509', '-req', '-in', `${at}.csr`, '-CA', caFile, '-CAkey', caKey, '-extfile', `${at}.ext`]
      if (expired) expire(at, made, { caFile, caKey })
      else openssl(...signed, '-set_serial', String(serial), '-days', '30', '-out', made.certFile)
      return made
    },
  }

  /** Only `openssl ca` takes dates. */
  function expire(at: string, made: Certificate, ca: { caFile: string; caKey: string }): void {
    const conf = `[ca]
default_ca = d
[d]
database = ${at}.txt
new_certs_dir = ${folder}
serial = ${at}.srl
default_md = sha256
policy = p
[p]
commonName = supplied
`
    writeFileSync(`${at}.conf`, conf)
    writeFileSync(`${at}.txt`, '')
    writeFileSync(`${at}.srl`, '1000\n')
    const dates = ['-startdate', '20200101000000Z', '-enddate', '20200102000000Z']
    const files = ['-in', `${at}.csr`, '-cert', ca.caFile, '-keyfile', ca.caKey, '-out', made.certFile]
    openssl('ca', '-batch', '-notext', '-config', `${at}.conf`, '-extfile', `${at}.ext`, ...dates, ...files)
  }
}
