import { afterEach, describe, expect, it } from 'vitest'
import { ids } from '../../../schemas/ids.ts'
import { begun, made, openModality, stepStatus } from '../../../tests/harness/procedure-steps.ts'
import { type OpenProducer, openProducer } from '../../../tests/harness/producer.ts'
import { dimse } from '../stage.ts'

let stage: OpenProducer | undefined
afterEach(async () => {
  await stage?.close()
})

async function open() {
  stage = await openProducer(dimse, { settings: { port: 0 } })
  const modality = await openModality(Number(stage.endpoints.dicom?.port))
  return { ...modality, told: () => stage?.published ?? [] }
}

describe('a modality that tells of its procedure steps', () => {
  it('says how many images the study is to have, once its last step is at its end', async () => {
    const { create, set, told, release } = await open()
    expect(await create('1.2.1', begun('1.2.3'))).toBe(0)
    expect(await create('1.2.2', begun('1.2.3'))).toBe(0)
    expect(await set('1.2.1', made('COMPLETED', '1.1', '1.2', '1.2'))).toBe(0)
    expect(told()).toEqual([])
    expect(await set('1.2.2', made('IN PROGRESS', '1.3'))).toBe(0)
    expect(await set('1.2.2', made('COMPLETED', '1.3', '1.4', '1.5'))).toBe(0)
    expect(told()).toMatchObject([
      { study: ids.study('main', '1.2.3'), what: 'expect', images: 5, source: 'modality', actor: 'CT1' },
    ])
    await release()
  })

  it('is told what is wrong: twice begun, at its end, unknown, without a study or a status', async () => {
    const { create, set, told, release } = await open()
    expect(await create('1.2.1', begun('1.2.3'))).toBe(0)
    expect(await create('1.2.1', begun('1.2.3'))).toBe(0x0111)
    expect(await set('1.2.7', made('COMPLETED', '1.1'))).toBe(0x0112)
    expect(await set('1.2.1', made('PERHAPS', '1.1'))).toBe(0x0106)
    expect(await set('1.2.1', made('DISCONTINUED'))).toBe(0)
    expect(await set('1.2.1', made('COMPLETED', '1.1'))).toBe(0x0110)
    expect(await create('1.2.8', { '00400252': stepStatus('IN PROGRESS') })).toBe(0x0106)
    expect(await create('1.2.8', { ...begun('1.2.3'), '00400252': stepStatus('COMPLETED') })).toBe(0x0106)
    expect(told()).toEqual([])
    await release()
  })
})
