/** One association with a peer, from the connection to the release. */
import type { DicomTls } from '../schemas/peers.ts'
import { associate, type Requestor, type RequestorOptions } from './requestor.ts'
import { type Called, connectTo } from './tls.ts'

export type TalkOptions = RequestorOptions & { signal?: AbortSignal }

/**
 * The connection is gone afterwards, whatever happens.
 * @throws RaylogError peer-unavailable, peer-refused, delivery-failed, config-invalid; the signal's reason when aborted
 */
export async function talk<T>(
  peer: Called,
  dicomTls: DicomTls | null,
  { signal, ...options }: TalkOptions,
  work: (requestor: Requestor) => Promise<T>,
): Promise<T> {
  const socket = await connectTo(peer, dicomTls, { timeoutMs: options.associateMs, ...(signal && { signal }) })
  const abort = () => socket.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    const requestor = await associate(socket, options)
    const result = await work(requestor)
    await requestor.release()
    return result
  } catch (thrown) {
    signal?.throwIfAborted()
    throw thrown
  } finally {
    signal?.removeEventListener('abort', abort)
    socket.destroy()
  }
}
