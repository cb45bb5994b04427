/** C-STORE of a file, by dcmjs-dimse. */
import dcmjs from 'dcmjs-dimse'
import type { Attempt } from './send.ts'

export interface DicomTarget {
  host: string
  port: number
  calledAeTitle: string
  callingAeTitle?: string
}

const hex = (status: number) => `0x${status.toString(16).toUpperCase().padStart(4, '0')}`

/** Out of resources: the receiver may take it later (PS3.4 B.2.3). */
const mayPass = (status: number) => status >= 0xa700 && status <= 0xa7ff

/**
 * One association for one file. Connection troubles are thrown.
 * @param path a Part 10 file
 */
export function storeFiles(path: string, target: DicomTarget): Promise<Attempt> {
  dcmjs.log.setLevel('silent')
  return new Promise((resolve, reject) => {
    const client = new dcmjs.Client()
    const request = new dcmjs.requests.CStoreRequest(path)
    let answered: Attempt | undefined
    request.on('response', response => {
      const status = response.getStatus()
      // Warnings (0xBxxx) mean that it is stored.
      const ok = status === 0 || (status & 0xf000) === 0xb000
      const comment = response.getErrorComment?.()
      answered = { ok, again: mayPass(status), text: comment ? `${hex(status)} ${comment}` : hex(status) }
    })
    client.on('networkError', (error: Error) => reject(error))
    client.on('associationRejected', () => reject(new Error('the association was rejected')))
    client.on('closed', () => {
      if (answered) resolve(answered)
      else reject(new Error('the connection closed without an answer'))
    })
    client.addRequest(request)
    client.send(target.host, target.port, target.callingAeTitle ?? 'RAYLOG-SEND', target.calledAeTitle, {
      connectTimeout: 10_000,
      associationTimeout: 30_000,
      pduTimeout: 120_000,
      associationLingerTimeout: 0,
    })
  })
}
