/** What the audit has of those who ask: who, how, which study; never what was searched for. */
import { afterEach, expect, it } from 'vitest'
import { commandField, writeQueryRequest } from '../../dicom/command.ts'
import { implicitLittle, writeElements } from '../../dicom/data-set.ts'
import { associate } from '../../dicom/requestor.ts'
import { connectTo } from '../../dicom/tls.ts'
import { type OpenNode, openNode } from '../../tests/harness/dicom-node.ts'
import { until } from '../../tests/harness/until.ts'
import { chestDicom, chestUids } from '../simulator/phantoms.ts'

const find = '1.2.840.10008.5.1.4.1.2.2.1'
const get = '1.2.840.10008.5.1.4.1.2.2.3'

let node: OpenNode | undefined
afterEach(async () => {
  await node?.[Symbol.asyncDispose]()
  node = undefined
})

it('a query is told with the names of its keys, a retrieval with its study and what was sent', async () => {
  const open = await openNode()
  node = open
  await open.keep(chestDicom(1))
  const { sopClass } = chestUids(1)
  const study = open.stage.published[0]?.dicom?.study ?? ''
  const at = { name: 'us', host: '127.0.0.1', port: open.port, tls: false, certificate: null }
  const socket = await connectTo(at, null, { timeoutMs: 10_000 })
  const transferSyntaxes = [implicitLittle]
  const peer = await associate(socket, {
    ...{ called: 'RAYLOG', calling: 'VIEWER', associateMs: 10_000, answerMs: 10_000 },
    contexts: [
      ...[find, get].map(abstractSyntax => ({ abstractSyntax, transferSyntaxes })),
      { abstractSyntax: sopClass, transferSyntaxes: ['1.2.840.10008.1.2.1'] },
    ],
    roles: new Map([[sopClass, { scu: false, scp: true }]]),
    async store({ dataSet }) {
      for await (const _bytes of dataSet);
      return { code: 0 }
    },
  })
  const ask = async (
    abstractSyntax: string,
    field: typeof commandField.find | typeof commandField.get,
    keys: object,
  ) => {
    const context = peer.contexts.find(one => one.abstractSyntax === abstractSyntax)
    if (!context) throw new Error('not accepted')
    const set = { '00080052': { vr: 'CS', Value: ['STUDY'] }, ...keys }
    const command = (id: number) => writeQueryRequest(field, id, abstractSyntax)
    let last = -1
    for await (const { command: answer } of peer.responses(context, command, writeElements(set, implicitLittle)))
      last = answer.status
    return last
  }
  const named = { '00100020': { vr: 'LO', Value: ['SECRET-ID'] }, '00080050': { vr: 'SH', Value: [] } }
  expect(await ask(find, commandField.find, named)).toBe(0)
  expect(await ask(get, commandField.get, { '0020000D': { vr: 'UI', Value: [study] } })).toBe(0)
  await peer.release()
  const ofViewer = () => open.stage.audited.filter(({ actor }) => actor === 'VIEWER')
  await until('all is told', () => ofViewer().some(({ action }) => action === 'instances-sent'))
  expect(ofViewer()).toMatchObject([
    { action: 'association-opened' },
    { action: 'query', object: 'STUDY', address: '127.0.0.1', detail: { query: 'STUDY AccessionNumber PatientID' } },
    { action: 'instances-sending', object: study, detail: { study, called: 'RAYLOG' } },
    { action: 'instances-sent', object: study, outcome: 'success', detail: { study, sopClasses: `${sopClass}=1` } },
  ])
  expect(JSON.stringify(open.stage.audited)).not.toContain('SECRET-ID')
})
