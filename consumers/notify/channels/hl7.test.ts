import { expect, it } from 'vitest'
import { channelTests } from '../../../tests/harness/channels.ts'
import { startHl7 } from '../../../tests/harness/hl7-receiver.ts'

const kit = channelTests()
const { closing, told } = kit

it('a system that reads HL7 gets an ORU^R01 over MLLP, and its answer decides', async () => {
  const receiver = await startHl7()
  closing.push(() => receiver[Symbol.asyncDispose]())
  const { messages, port } = receiver
  const channel = { kind: 'hl7', host: '127.0.0.1', port, application: 'RIS', facility: 'H' }
  const [delivery] = await told(channel, { rule: { acknowledge: {} } })
  expect(delivery).toMatchObject({ state: 'sent', channel: 'hl7' })
  const segments = messages[0]?.split('\r').map(line => line.split('|')) ?? []
  const of = (name: string) => segments.filter(([first]) => first === name)
  expect(of('MSH')[0]?.slice(2, 6)).toEqual(['RAYLOG', 'main', 'RIS', 'H'])
  expect(of('MSH')[0]?.slice(8, 12)).toEqual(['ORU^R01^ORU_R01', delivery?.id.slice(3, 23), 'P', '2.5.1'])
  expect(of('NTE')[0]?.[3]).toBe('CRITICAL RESULT: critical: pneumonia')
  expect(of('OBX')[0]).toMatchObject({ 3: 'pneumonia^pneumonia^99RAYLOG', 8: 'A', 11: 'P' })
  expect(of('PID'), 'no name by default').toEqual([])
  expect(messages[0]).not.toContain('pt_1')
  const identity = { name: 'DOE^JANE^M^DR^MD=ドウ^ジェーン' }
  await kit.stores.documents.insert('patients', {
    ...{ id: 'pt_1', site: 'main' },
    sealed: kit.stores.secrets.seal(JSON.stringify(identity), 'pt_1'),
  })
  await told({ ...channel, names: true }, { event: { study: 'st_3' }, showNames: true })
  expect(messages[1]?.split('\r').find(line => line.startsWith('PID'))).toBe(
    'PID|1||pt_1^^^RAYLOG^ANON||DOE^JANE^M^MD^DR^^L^A~ドウ^ジェーン^^^^^L^I',
  )
  receiver.code = 'AR'
  const all = await told(channel, { event: { study: 'st_2' } })
  expect(all.find(({ state }) => state === 'failed')?.message).toBe('the receiver acknowledged with AR')
})
