/** A real SMTP server that keeps what it is sent. */
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'

export interface Mail {
  to: string[]
  /** The whole message, lines unfolded and quoted-printable undone as far as tests read it. */
  raw: string
  header(name: string): string | undefined
}

export interface MailServer extends AsyncDisposable {
  port: number
  mails: Mail[]
  /** Every message as it came, those that were refused too. */
  seen: string[]
  /** Called with each mail as its last byte is here; the server answers when it is done. */
  onMail: (mail: Mail) => void | Promise<void>
}

/** @param refuse an SMTP answer instead of taking the mail, by how many there were before and what it says; null takes it */
export async function startMail(
  options: SMTPServerOptions = {},
  refuse: (before: number, raw: string) => { code: number; text: string } | null = () => null,
): Promise<MailServer> {
  const mails: Mail[] = []
  const seen: string[] = []
  const hear: Pick<MailServer, 'onMail'> = { onMail: () => undefined }
  let before = 0
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: options.key === undefined ? ['STARTTLS'] : [],
    logger: false,
    closeTimeout: 100,
    ...options,
    onData(stream, session, done) {
      void buffer(stream).then(async bytes => {
        const raw = bytes.toString()
        seen.push(raw)
        const no = refuse(before++, raw)
        if (no) return done(Object.assign(new Error(no.text), { responseCode: no.code }))
        const to = session.envelope.rcptTo.map(({ address }) => address)
        const mail = readMail(raw, to)
        mails.push(mail)
        await hear.onMail(mail)
        done()
      }, done)
    },
  })
  // A client that breaks off is not this server's fault.
  server.on('error', () => undefined)
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.server.address() as AddressInfo
  return Object.assign(hear, {
    port,
    mails,
    seen,
    [Symbol.asyncDispose]: () => new Promise<void>(resolve => server.close(() => resolve())),
  })
}

function readMail(text: string, to: string[]): Mail {
  const [head = '', ...body] = text.split('\r\n\r\n')
  const headers = head.replace(/\r\n[ \t]+/g, ' ')
  const unquoted = body
    .join('\n\n')
    .replace(/=\r\n/g, '')
    .replace(/(?:=[0-9A-F]{2})+/g, hex => Buffer.from(hex.replaceAll('=', ''), 'hex').toString())
  return {
    to,
    raw: `${headers}\n\n${unquoted}`,
    header: name => new RegExp(`^${name}: *(.*)$`, 'im').exec(headers)?.[1]?.trim(),
  }
}

/** Messages with all that is encoded in them beside it (RFC 2045 quoted-printable and base64, RFC 2047 words), to be searched. */
export function everyReading(raws: readonly string[]): string {
  const bytesOf = (hex: string) => Buffer.from(hex.replaceAll('=', ''), 'hex').toString()
  const unquoted = (text: string) => text.replace(/=\r\n/g, '').replace(/(?:=[0-9A-F]{2})+/g, bytesOf)
  const word = (_: string, kind: string, text: string) =>
    kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString() : unquoted(text.replaceAll('_', ' '))
  return raws
    .flatMap(raw => {
      const coded = raw.match(/(?:^[A-Za-z0-9+/]{4,76}={0,2}\r?\n)+/gm) ?? []
      const decoded = coded.map(text => Buffer.from(text, 'base64'))
      const words = raw.replace(/\r\n[ \t]+/g, ' ').replace(/=\?utf-8\?([bq])\?([^?]*)\?=/gi, word)
      return [raw, unquoted(raw), words, ...decoded.flatMap(bytes => [bytes.toString(), bytes.toString('latin1')])]
    })
    .join('\n')
}
