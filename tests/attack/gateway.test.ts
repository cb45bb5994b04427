/** What a browser, a script or a neighbour on the same machine may try at the port. */
import { afterEach, expect, it } from 'vitest'
import { z } from 'zod'
import type { JoinAnswer } from '../../gateway/live/messages.ts'
import { topics } from '../../schemas/topics.ts'
import { bearer, closeAll, start } from '../gateway/bare.ts'
import { type Started, startGateway } from '../gateway/kit.ts'
import { anInstance } from '../gateway/samples.ts'
import { happens } from '../gateway/watch.ts'

const open: Started[] = []
afterEach(async () => {
  await closeAll()
  for (const gateway of open.splice(0)) await gateway[Symbol.asyncDispose]()
})

it('a URL that cannot be decoded is answered with a problem, like everything else', async () => {
  const { ask } = await start()
  for (const path of ['/api/v1/%ff', '/%', '/assets/%c0%ae%c0%ae/']) {
    const answer = await ask(path, { headers: bearer })
    expect([answer.status, answer.headers['content-type']]).toEqual([400, expect.stringContaining('problem+json')])
    expect(answer.json()).toMatchObject({ code: 'bad-request' })
  }
})

it('a client that joins without waiting for answers is told to come back, and served no replay for each', async () => {
  const gateway = await startGateway()
  open.push(gateway)
  for (let n = 0; n < 50; n++) await gateway.publish(topics.instances, anInstance(n))
  const socket = gateway.connect()
  await happens(socket, 'connect')
  const ask = () => new Promise<JoinAnswer>(resolve => socket.emit('join', { rooms: ['all'], recent: 200 }, resolve))
  const answers = await Promise.all(Array.from({ length: 500 }, ask))
  const refused = z.object({ ok: z.literal(false), code: z.literal('busy') })
  const busy = answers.filter(answer => refused.safeParse(answer).success)
  expect(busy.length).toBeGreaterThan(300)
  expect(answers.filter(answer => answer.ok).length + busy.length).toBe(500)
  expect(await ask()).toMatchObject({ ok: true })
})
