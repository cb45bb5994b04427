/** E-mail by SMTP (RFC 5321), as text and HTML; its Message-ID is the delivery's, so that mail programs know a second copy. */
import { readFileSync } from 'node:fs'
import { createTransport, type SentMessageInfo } from 'nodemailer'
import { type NoticeMessage, type Sender, type SendOptions, Undelivered } from '../channel.ts'
import type { ChannelOf } from '../config-channels.ts'
import { htmlOf, subjectOf, textOf } from '../template.ts'

const imageId = 'image@raylog'

export function email(config: ChannelOf<'email'>): Sender<NoticeMessage> {
  const { host, port, security, user, password, caFile, timeoutMs } = config
  const transport = createTransport({
    pool: true,
    maxConnections: config.connections,
    host,
    port,
    secure: security === 'tls',
    // Without it nodemailer goes on in the clear where the server offers no STARTTLS, or someone between took it out.
    requireTLS: security === 'starttls',
    ignoreTLS: security === 'none',
    ...(user !== null && password !== null && { auth: { user, pass: password } }),
    ...(caFile !== null && { tls: { ca: readFileSync(caFile) } }),
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    disableFileAccess: true,
    disableUrlAccess: true,
  })
  return {
    name: 'email',
    async send(message, options) {
      options.signal.throwIfAborted()
      const sent = transport.sendMail(mailOf(config, message, options))
      await orAborted(sent.catch(refused), options.signal)
    },
    close: () => transport.close(),
  }
}

function mailOf({ from }: ChannelOf<'email'>, message: NoticeMessage, { idempotencyKey, redelivered }: SendOptions) {
  const { image, level, recipient } = message
  const domain = /@([^\s>]+)/.exec(from)?.[1] ?? 'raylog'
  return {
    from,
    to: recipient.address ?? '',
    subject: subjectOf(message),
    text: textOf(message, redelivered),
    html: htmlOf(message, redelivered, image && imageId),
    messageId: `<${idempotencyKey}@${domain}>`,
    ...(level === 'alert' && { priority: 'high' as const }),
    headers: {
      // No out-of-office answers (RFC 3834); Exchange wants it said in its own way (MS-OXCMAIL).
      'Auto-Submitted': 'auto-generated',
      'X-Auto-Response-Suppress': 'OOF, AutoReply',
      'X-Raylog-Notification': message.notice,
      ...(redelivered && { 'X-Raylog-Redelivered': 'true' }),
    },
    ...(image && {
      attachments: [{ cid: imageId, filename: 'image.jpg', content: image, contentDisposition: 'inline' as const }],
    }),
  }
}

/** The server's code decides: 4xx is "later", 5xx is "no". Its words may hold addresses, and are not told. */
function refused(thrown: unknown): never {
  const said = thrown instanceof Error ? thrown : new Error('no reason')
  const status = 'responseCode' in said && typeof said.responseCode === 'number' ? said.responseCode : null
  const code = 'code' in said && typeof said.code === 'string' ? said.code : 'network error'
  if (status !== null)
    throw new Undelivered(`the mail server answered ${status} (${code})`, { final: status >= 500, cause: thrown })
  throw new Undelivered(`the mail server cannot be reached (${code})`, { cause: thrown })
}

/** What was begun cannot be taken back; nobody waits for it any more. */
function orAborted(sent: Promise<SentMessageInfo>, signal: AbortSignal): Promise<unknown> {
  const { promise, reject } = Promise.withResolvers<never>()
  const abort = () => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  return Promise.race([sent, promise]).finally(() => signal.removeEventListener('abort', abort))
}
