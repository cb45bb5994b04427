/** The mail server of bench/notify.ts, in a process of its own as it would be: says of each mail when its last byte was there. */
import { startMail } from '../tests/harness/mail.ts'
import { hostMs } from './clock.ts'

export type Said = { port: number } | { label: string; at: number }

if (process.send) {
  const say = (said: Said) => process.send?.(said)
  const mail = await startMail()
  mail.onMail = ({ raw }) => {
    const at = hostMs()
    mail.mails.length = 0
    say({ label: /case-\d+/.exec(raw)?.[0] ?? '', at })
  }
  process.on('disconnect', () => process.exit())
  say({ port: mail.port })
}
