/** Web Push of this browser: asks for permission, subscribes with the server's key, and tells the server where to. */
import { get, nothing, postJson, remove } from '../api/client.ts'
import { isObject, ShapeError } from '../api/shape.ts'

const remembered = 'raylog.push'
/** What the server calls this browser; those that were signed up by an earlier page do not know. */
const rememberedId = 'raylog.push.id'

/** Push needs HTTPS or localhost; older browsers have none. */
export const canPush = (): boolean =>
  'serviceWorker' in navigator && 'PushManager' in window && 'Notification' in window

/** In whose name this browser is told; null where it is not. */
export const pushPerson = (): string | null => localStorage.getItem(remembered)

function text(name: string) {
  return (value: unknown): string => {
    const field = isObject(value) ? value[name] : undefined
    if (typeof field !== 'string') throw new ShapeError(`${name} is missing`)
    return field
  }
}

const refusedWords =
  'This browser does not allow notifications of this page. Allow them in its settings for this site, then press again.'

/** Whether what is remembered still holds: people take permissions back, and browsers let go of subscriptions. */
export async function pushTrouble(): Promise<string | null> {
  if (pushPerson() === null) return canPush() && Notification.permission === 'denied' ? refusedWords : null
  if (!canPush() || Notification.permission === 'denied') return `This browser is told no more. ${refusedWords}`
  const registration = await navigator.serviceWorker.getRegistration('/push.js')
  const kept = Notification.permission === 'granted' && (await registration?.pushManager.getSubscription())
  return kept ? null : 'This browser is told no more: it has let go of its subscription. Press again.'
}

/** @throws Problem, or Error in words for people */
export async function startPush(person: string): Promise<void> {
  if ((await Notification.requestPermission()) !== 'granted') throw new Error(refusedWords)
  const registration = await navigator.serviceWorker.register('/push.js')
  await navigator.serviceWorker.ready
  const key = await get('/notifications/push', text('publicKey'))
  const options = { userVisibleOnly: true, applicationServerKey: key }
  const subscription =
    (await registration.pushManager.getSubscription()) ?? (await registration.pushManager.subscribe(options))
  const { endpoint, keys } = subscription.toJSON()
  const id = await postJson('/notifications/push', { person, subscription: { endpoint, keys } }, text('id'))
  localStorage.setItem(rememberedId, id)
  localStorage.setItem(remembered, person)
}

/**
 * Takes this browser off the server first, so that nothing is sent to where nobody listens and another may take its place; then
 * lets go of the subscription. Where the server does not know it any more, that is as good.
 * @throws Problem where the server does not answer: then this browser is still told
 */
export async function stopPush(): Promise<void> {
  const id = localStorage.getItem(rememberedId)
  if (id !== null) await remove(`/notifications/push/${encodeURIComponent(id)}`, nothing)
  const registration = await navigator.serviceWorker.getRegistration('/push.js')
  const subscription = await registration?.pushManager.getSubscription()
  await subscription?.unsubscribe()
  localStorage.removeItem(rememberedId)
  localStorage.removeItem(remembered)
}
