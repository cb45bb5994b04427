/** Takes webhooks, and counts what a receiver of them can count. */
import { createServer } from 'node:http'
import { z } from 'zod'

const body = z.object({ data: z.object({ prediction: z.object({ id: z.string() }) }) })

export interface Received {
  prediction: string
  /** Calls that do not say that there may have been one before. */
  first: number
  /** Calls that do. */
  again: number
}

export interface Receiver extends AsyncDisposable {
  url: string
  /** By webhook-id. */
  calls: ReadonlyMap<string, Received>
  /** A sender was told that its image is kept: its result is awaited from now on. */
  expect(count: number): void
  /** While results were awaited: the longest time in which none came, ms. */
  longestGapMs(): number
}

export async function startReceiver(): Promise<Receiver> {
  const calls = new Map<string, Received>()
  let expected = 0
  let last = Date.now()
  let longest = 0

  function take(headers: NodeJS.Dict<string | string[]>, text: string): void {
    const { prediction } = body.parse(JSON.parse(text)).data
    const id = String(headers['webhook-id'])
    const known = calls.get(id) ?? { prediction: prediction.id, first: 0, again: 0 }
    calls.set(id, known)
    const marked = headers['raylog-redelivered'] === 'true' || headers['raylog-attempt'] !== '1'
    if (marked) known.again++
    else known.first++
    longest = Math.max(longest, Date.now() - last)
    last = Date.now()
  }

  const server = createServer((request, response) => {
    let text = ''
    request.setEncoding('utf8').on('data', (more: string) => {
      text += more
    })
    request.on('end', () => {
      take(request.headers, text)
      response.end()
    })
  })
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/hook`,
    calls,
    expect(count) {
      // With nothing awaited, nothing coming is no lack of progress.
      if (expected <= calls.size) last = Date.now()
      expected += count
    },
    longestGapMs: () => longest,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      await new Promise(done => server.close(done))
    },
  }
}
