import { createServer, type Server, type ServerResponse } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createFetcher, type Fetcher } from './fetch.ts'

let server: Server
let url: string
let fetcher: Fetcher
let connections: number
let answer: (response: ServerResponse) => void

beforeEach(async () => {
  connections = 0
  server = createServer((_request, response) => answer(response))
  server.on('connection', () => connections++)
  await new Promise<void>(done => server.listen(0, '127.0.0.1', done))
  const address = server.address()
  url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/object?signature`
  fetcher = createFetcher({ withinMs: 25_000 })
})
afterEach(async () => {
  fetcher.close()
  server.closeAllConnections()
  await new Promise(done => server.close(done))
})

/** Instead: one that waits for less long. */
function waitingFor(withinMs: number): void {
  fetcher.close()
  fetcher = createFetcher({ withinMs })
}
const whole = (bytes: Buffer) => (response: ServerResponse) => {
  response.writeHead(200, { 'content-length': bytes.length })
  response.end(bytes)
}
const status = (code: number) => (response: ServerResponse) => {
  response.writeHead(code)
  response.end('<Error/>')
}

describe('a worker that fetches', () => {
  it('gets all bytes, over one connection, and uses a buffer again when it was let go of', async () => {
    const [large, small] = [Buffer.alloc(700_000, 7), Buffer.alloc(300_000, 9)]
    answer = whole(large)
    const first = await fetcher.fetch(url)
    expect(first.bytes.equals(large)).toBe(true)
    first.release()
    answer = whole(small)
    const second = await fetcher.fetch(url)
    expect(second.bytes.equals(small)).toBe(true)
    expect(second.bytes.buffer).toBe(first.bytes.buffer)
    // One that is still read is nobody else's.
    const third = await fetcher.fetch(url)
    expect(third.bytes.buffer).not.toBe(second.bytes.buffer)
    expect(connections).toBe(1)
  })

  it('says what is wrong: gone for good, or to be waited for', async () => {
    for (const [code, said] of [
      [404, 'object-missing'],
      [403, 'store-unavailable'],
      [503, 'store-unavailable'],
    ] as const) {
      answer = status(code)
      await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: said })
    }
    answer = response => {
      response.writeHead(200)
      response.end('of no length that was said')
    }
    await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(fetcher.fetch('http://127.0.0.1:9/')).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  it('lets go of the connection on which an object of no length comes', async () => {
    const gone = Promise.withResolvers<void>()
    answer = response => {
      response.once('close', gone.resolve)
      response.writeHead(200)
      response.write('and it never ends')
    }
    await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: 'store-unavailable' })
    await gone.promise
  })

  it('has eight objects at once, in the order of the calls; the next when one is let go of, or fails', async () => {
    let asked = 0
    answer = response => {
      asked++
      if (asked === 11) status(404)(response)
      else whole(Buffer.from(String(asked)))(response)
    }
    const coming = Array.from({ length: 11 }, () => fetcher.fetch(url))
    for (const one of coming) one.catch(() => undefined)
    const first = await Promise.all(coming.slice(0, 8))
    await fetch(url) // what was on its way before this one has come
    expect(asked).toBe(9)
    first[3]?.release()
    await coming[8]
    expect(asked).toBe(10)
    first[0]?.release()
    await expect(coming[9]).rejects.toMatchObject({ code: 'object-missing' })
    expect((await coming[10])?.bytes.toString()).toBe('12')
  })

  it('gives up those in line with those that a silent store keeps, without asking for them', async () => {
    waitingFor(1_000)
    let asked = 0
    answer = () => asked++
    const said = await Promise.allSettled(Array.from({ length: 30 }, () => fetcher.fetch(url)))
    expect(said).toHaveLength(30)
    for (const one of said) expect(one).toMatchObject({ status: 'rejected', reason: { code: 'store-unavailable' } })
    expect(asked).toBe(8)
    answer = whole(Buffer.from('back'))
    expect((await fetcher.fetch(url)).bytes.toString()).toBe('back')
  })

  it('takes no object that breaks off for a whole one', async () => {
    answer = response => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('half')
      setImmediate(() => response.destroy())
    }
    await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: 'store-unavailable' })
  })

  it('asks again, on a new connection, for one that broke off', async () => {
    let asked = 0
    answer = response => {
      asked++
      if (asked > 1) return whole(Buffer.from('whole'))(response)
      response.writeHead(200, { 'content-length': 5 })
      response.write('wh')
      setImmediate(() => response.destroy())
    }
    expect((await fetcher.fetch(url)).bytes.toString()).toBe('whole')
    expect([asked, connections]).toEqual([2, 2])
  })

  it('does not wait for a store that says nothing, or stops in the middle, but waits while a model runs', async () => {
    waitingFor(500)
    answer = () => undefined
    await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: 'store-unavailable' })
    answer = response => {
      response.writeHead(200, { 'content-length': 10 })
      response.write('half')
    }
    await expect(fetcher.fetch(url)).rejects.toMatchObject({ code: 'store-unavailable' })
    answer = whole(Buffer.from('there'))
    const coming = fetcher.fetch(url)
    await new Promise(resolve => setImmediate(resolve))
    // Nothing else happens in this thread meanwhile, as in a run.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 700)
    expect((await coming).bytes.toString()).toBe('there')
  })

  it('asks again where the server has just closed the connection that was kept', async () => {
    answer = whole(Buffer.from('one'))
    await fetcher.fetch(url)
    let asked = 0
    answer = response => {
      asked++
      if (asked === 1) response.socket?.destroy()
      else whole(Buffer.from('two'))(response)
    }
    expect((await fetcher.fetch(url)).bytes.toString()).toBe('two')
    expect(asked).toBe(2)
  })
})
