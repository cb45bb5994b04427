/** The notify stage before people who can be reached by a mail server that the test has in hand, at times that it says. */
import { expect } from 'vitest'
import { began } from '../gateway/samples.ts'
import { HandClock } from './hand-clock.ts'
import { startMail } from './mail.ts'
import { openNotify } from './notify.ts'
import { ownStores } from './own-stores.ts'
import { startReceiver } from './receiver.ts'
import { until } from './until.ts'

export const minute = 60_000
export const hour = 60 * minute
export const lookMs = 500
export const leaseMs = 15_000
/** Thursday, 1 January 2026, at noon (UTC). */
export const noon = began + 12 * hour

export const person = (name: string, over: object = {}) => ({
  name,
  reach: [{ channel: 'mail', address: `${name}@h.example` }],
  ...over,
})

/** Stores of each test, and what it opens on them; all is closed after it. */
export function onDutyTests() {
  const own = ownStores()

  /** A mail server that takes nothing while `up` is false, and nothing for the `gone`, and a web server for chat. */
  async function ends() {
    const state: { up: boolean; gone: string | null } = { up: true, gone: null }
    const taken = (raw: string) => state.up && (state.gone === null || !raw.includes(`To: ${state.gone}@`))
    const mail = await startMail({}, (_, raw) => (taken(raw) ? null : { code: 550, text: 'no such user' }))
    const chat = await startReceiver()
    own.closing.push(
      () => mail[Symbol.asyncDispose](),
      () => chat[Symbol.asyncDispose](),
    )
    const channels = [
      { name: 'mail', kind: 'email', host: '127.0.0.1', port: mail.port, security: 'none', from: 'r@h.example' },
      { name: 'chat', kind: 'slack', url: chat.url },
    ]
    const to = () => mail.mails.map(one => one.to.join().split('@')[0])
    return { state, mail, chat, channels, to }
  }

  async function open(settings: object, clock = new HandClock(noon)) {
    const base = { people: ['martin', 'nina', 'chief'].map(name => person(name)), attempts: 1, restAfter: 100 }
    const stage = await openNotify(own.stores, { ...base, lookMs, leaseMs, ...settings }, { clock })
    own.closing.push(() => stage.close())
    const one = async () => (await own.stores.documents.find('notices')).items[0] ?? expect.unreachable('none')
    /** Time goes by while the stage waits for its next look. */
    async function pass(ms: number): Promise<void> {
      await until('the stage waits for its next look', () => clock.sleeping.includes(lookMs))
      clock.move(ms)
    }
    /** Time goes by until it is so. */
    async function passUntil(what: string, condition: () => Promise<boolean> | boolean, ms = minute): Promise<void> {
      await until(what, async () => {
        if (await condition()) return true
        if (clock.sleeping.includes(lookMs)) clock.move(ms)
        return undefined
      })
    }
    return { ...stage, clock, one, pass, passUntil }
  }

  return { own, ends, open }
}
