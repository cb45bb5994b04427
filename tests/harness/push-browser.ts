/** A browser that asked to be told by Web Push, as the channel finds it among the documents. */
import { began } from '../gateway/samples.ts'
import { pushSubscriber } from './push-subscriber.ts'
import type { Stores } from './stores.ts'

/** @returns what is said in a body that came for it. @throws for what is not for it alone */
export async function pushBrowser(
  { documents, secrets }: Pick<Stores, 'documents' | 'secrets'>,
  { endpoint, person, id = 'pu_1' }: { endpoint: string; person: string; id?: string },
): Promise<(body: Buffer) => unknown> {
  const { subscription, read } = pushSubscriber(endpoint)
  const sealed = secrets.seal(JSON.stringify(subscription), id)
  await documents.upsert('pushTargets', [{ id, person, sealed, createdAt: began }])
  return body => JSON.parse(read(body))
}
