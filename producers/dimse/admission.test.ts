import { describe, expect, it } from 'vitest'
import { reject } from '../../dicom/pdu.ts'
import { platformConfig } from '../../schemas/config.ts'
import { type Caller, createAdmission } from './admission.ts'

const ct = '1.2.840.10008.5.1.4.1.1.2'
const mr = '1.2.840.10008.5.1.4.1.1.4'
const uids = {
  echo: '1.2.840.10008.1.1',
  find: '1.2.840.10008.5.1.4.1.2.2.1',
  move: '1.2.840.10008.5.1.4.1.2.2.2',
  get: '1.2.840.10008.5.1.4.1.2.1.3',
  worklist: '1.2.840.10008.5.1.4.31',
  commitment: '1.2.840.10008.1.20.1',
}
const sha256 = 'AB'.repeat(32)

function admission(peers: object[], acceptAnyone = false) {
  const identify = createAdmission({ peers: platformConfig.parse({ peers }).peers, acceptAnyone })
  return (caller: Partial<Caller>) => {
    const said = identify({ aeTitle: 'CT1', address: '10.0.0.5', ...caller })
    return 'rejected' in said ? said : { peer: said.peer?.name, permits: said.permits }
  }
}

const refused = (because: RegExp) => ({ rejected: reject.callingAeUnknown, because: expect.stringMatching(because) })

describe('who may associate', () => {
  it('is whoever calls from this machine where no peers are set up, and nobody else', () => {
    const ask = admission([])
    for (const address of ['127.0.0.1', '127.8.9.1', '::1', '::ffff:127.0.0.1'])
      expect(ask({ address })).toMatchObject({ peer: undefined })
    for (const address of ['10.0.0.5', '::ffff:10.0.0.5', 'fe80::1', ''])
      expect(ask({ address })).toEqual(refused(/no peers are set up/))
  })

  it('is the peers alone where there are some: not even this machine', () => {
    const ask = admission([{ name: 'ct', aeTitle: 'CT1', host: '10.0.0.5' }])
    expect(ask({})).toMatchObject({ peer: 'ct' })
    expect(ask({ address: '::ffff:10.0.0.5' })).toMatchObject({ peer: 'ct' })
    expect(ask({ aeTitle: 'OTHER' })).toEqual(refused(/not that of a peer/))
    expect(ask({ aeTitle: 'OTHER', address: '127.0.0.1' })).toEqual(refused(/not that of a peer/))
  })

  it('is by address too: a peer is where it belongs, and its name is nobody else’s', () => {
    const peers = [
      { name: 'here', aeTitle: 'CT1', addresses: ['10.1.0.0/16', '10.2.0.7', '2001:db8::/32'] },
      { name: 'there', aeTitle: 'CT1', addresses: ['10.3.0.1'] },
    ]
    const ask = admission(peers, true)
    expect(ask({ address: '10.1.255.1' })).toMatchObject({ peer: 'here' })
    expect(ask({ address: '2001:db8::5' })).toMatchObject({ peer: 'here' })
    expect(ask({ address: '10.3.0.1' })).toMatchObject({ peer: 'there' })
    expect(ask({ address: '10.2.0.8' })).toEqual(refused(/an address that is not its own/))
    // A lab takes strangers, not impostors.
    expect(ask({ aeTitle: 'STRANGER', address: '10.2.0.8' })).toMatchObject({ peer: undefined })
  })

  it('is by certificate where the settings name one, and then from anywhere', () => {
    const ask = admission([
      { name: 'a', aeTitle: 'CT1', certificate: { sha256: `${'ab:'.repeat(31)}ab` } },
      { name: 'b', aeTitle: 'CT2', certificate: { commonName: 'ct2' }, addresses: ['10.0.0.5'] },
    ])
    const certificate = { sha256, commonName: 'ct2' }
    expect(ask({ certificate, address: '203.0.113.9' })).toMatchObject({ peer: 'a' })
    expect(ask({})).toEqual(refused(/shows no certificate/))
    expect(ask({ certificate: { ...certificate, sha256: 'CD'.repeat(32) } })).toEqual(refused(/not its own/))
    expect(ask({ aeTitle: 'CT2', certificate })).toMatchObject({ peer: 'b' })
    expect(ask({ aeTitle: 'CT2', certificate, address: '203.0.113.9' })).toEqual(refused(/address/))
    expect(ask({ aeTitle: 'CT2', certificate: { ...certificate, commonName: 'ct1' } })).toEqual(refused(/not its own/))
  })

  it('does not include peers that are only called', () => {
    const ask = admission([{ name: 'pacs', aeTitle: 'CT1', host: '10.0.0.5', port: 104, services: [] }])
    expect(ask({})).toEqual(refused(/./))
    expect(ask({ address: '127.0.0.1' })).toMatchObject({ peer: undefined })
  })
})

describe('what a peer may do', () => {
  const permitted = (peer: object) => {
    const said = admission([{ name: 'ct', aeTitle: 'CT1', host: '10.0.0.5', ...peer }])({})
    if (!('permits' in said)) throw new Error('rejected')
    return [ct, mr, ...Object.values(uids)].filter(said.permits)
  }

  it('is to store and to echo unless the settings say otherwise', () => {
    expect(permitted({})).toEqual([ct, mr, uids.echo])
    expect(permitted({ services: ['query'] })).toEqual([uids.echo, uids.find, uids.worklist])
    expect(permitted({ services: ['retrieve', 'commitment'] })).toEqual([
      uids.echo,
      uids.move,
      uids.get,
      uids.commitment,
    ])
  })

  it('is to store the SOP classes that are listed', () => {
    expect(permitted({ sopClasses: [mr] })).toEqual([mr, uids.echo])
  })
})

describe('the settings of peers', () => {
  const problems = (peers: object[]) => platformConfig.safeParse({ peers }).error?.issues.map(({ message }) => message)

  it('refuse a caller who is known by a name alone', () => {
    expect(problems([{ name: 'ct', aeTitle: 'CT1' }])?.[0]).toMatch(/an AE title alone proves nothing/)
    expect(problems([{ name: 'ct', aeTitle: 'CT1', host: 'ct.example.org' }])?.[0]).toMatch(/proves nothing/)
    expect(problems([{ name: 'ct', aeTitle: 'CT1', host: 'ct.example.org', services: [] }])).toBeUndefined()
  })

  it('refuse two of a name, addresses that are none, and certificates that name nothing', () => {
    const one = { name: 'ct', aeTitle: 'CT1', host: '10.0.0.5' }
    expect(problems([one, one])).toEqual(['two peers have the same name'])
    for (const addresses of [['10.0.0.0/33'], ['somewhere'], ['::1/129'], ['10.0.0.0/']])
      expect(problems([{ ...one, addresses }])?.[0]).toMatch(/an IP address/)
    expect(problems([{ ...one, certificate: {} }])?.[0]).toMatch(/give sha256 or commonName/)
  })
})
