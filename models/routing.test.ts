import { expect, it } from 'vitest'
import { reportEquipment } from '../schemas/own-report.ts'
import { routingRule } from '../schemas/routing.ts'
import type { Instance } from '../schemas/topics.ts'
import { modelManifest } from './manifest.ts'
import { routesFor } from './routing.ts'
import { instanceOf, manifestOf } from './testing.ts'

const chest = modelManifest.parse(
  manifestOf('mean', {
    name: 'chest',
    accepts: {
      contentTypes: ['application/dicom'],
      modalities: ['CR', 'DX'],
      bodyParts: ['CHEST'],
      views: ['PA', 'AP'],
    },
  }),
)
const any = modelManifest.parse(manifestOf('mean', { name: 'any' }))
const object = { key: 'k', sha256: 'a'.repeat(64), bytes: 1, contentType: 'application/dicom' }
const film = { modality: 'DX', bodyPart: 'CHEST', view: 'PA', photometric: 'MONOCHROME2' }
const route = (changes: Partial<Instance>, manifests = [chest]) =>
  routesFor(manifests, instanceOf(object, { ...film, ...changes })).map(({ model, accepted, reason }) => [
    model.name,
    accepted,
    reason,
  ])

it('takes an instance that has what the model takes, whatever its spelling', () => {
  expect(route({})).toEqual([['chest', true, 'modality DX, body part CHEST, view PA: chest@1 takes it']])
  expect(route({ bodyPart: ' chest ' })[0]?.[1]).toBe(true)
})

it('says every reason why not', () => {
  expect(route({ modality: 'CT', bodyPart: 'HEAD' })).toEqual([
    ['chest', false, 'modality is CT; chest@1 takes CR, DX; body part is HEAD; chest@1 takes CHEST'],
  ])
  expect(route({ view: 'LATERAL' })).toEqual([['chest', false, 'view is LATERAL; chest@1 takes PA, AP']])
})

it('does not take an instance whose attribute is missing where the model names what it takes', () => {
  expect(route({ bodyPart: null })).toEqual([['chest', false, 'body part is not given; chest@1 takes CHEST']])
  expect(route({ view: ' ' })).toEqual([['chest', false, 'view is not given; chest@1 takes PA, AP']])
})

it('takes anything where the model names nothing', () => {
  expect(route({ modality: null, bodyPart: null, view: null }, [any])).toEqual([['any', true, 'any@1 takes any']])
})

it('takes just the photometric interpretations that the model names', () => {
  const accepts = { photometric: ['MONOCHROME1', 'MONOCHROME2'] }
  const grey = modelManifest.parse(manifestOf('mean', { name: 'grey', accepts }))
  const coloured = modelManifest.parse(manifestOf('mean', { name: 'coloured', accepts: { photometric: ['RGB'] } }))
  expect(route({}, [grey, coloured])).toEqual([
    ['grey', true, 'photometric interpretation MONOCHROME2: grey@1 takes it'],
    ['coloured', false, 'photometric interpretation is MONOCHROME2; coloured@1 takes RGB'],
  ])
  expect(route({ photometric: 'RGB' }, [grey, coloured]).map(([, accepted]) => accepted)).toEqual([false, true])
  expect(route({ photometric: null }, [grey])).toEqual([
    ['grey', false, 'photometric interpretation is not given; grey@1 takes MONOCHROME1, MONOCHROME2'],
  ])
})

it('takes no instance without pixels', () => {
  expect(route({ rows: null, columns: null }, [chest, any]).map(one => one.slice(1))).toEqual([
    [false, 'there are no pixels in it'],
    [false, 'there are no pixels in it'],
  ])
})

it('takes no report that Raylog made, though the sender asks for it', () => {
  const equipment = { ...reportEquipment, station: null }
  expect(route({ equipment, requested: ['chest'] })).toEqual([['chest', false, 'it is a report that Raylog made']])
})

it('takes just what the sender asks for, by name or version, whatever the attributes say', () => {
  expect(route({ requested: ['chest@1'], modality: 'OT' }, [chest, any])).toEqual([
    ['chest', true, 'the sender asked for it'],
    ['any', false, 'the sender asked for chest@1'],
  ])
  expect(route({ requested: ['chest'], bodyPart: null })[0]?.[1]).toBe(true)
  expect(route({ requested: ['chest@2'] })[0]?.[1]).toBe(false)
})

it('does not take what it cannot read, though the sender asks for it', () => {
  const asked = instanceOf({ ...object, contentType: 'image/png' }, { requested: ['chest'] })
  expect(routesFor([chest], asked)[0]).toMatchObject({
    accepted: false,
    reason: 'content type is image/png; chest@1 takes application/dicom',
  })
})

it('narrows the routes by the first rule that fits', () => {
  const rules = [
    { model: 'chest', sites: ['main'], sources: ['dimse'], peers: ['CT1'], allow: true },
    { model: 'chest@1', allow: false },
    { model: '*', modalities: ['CT'], allow: false },
  ].map(rule => routingRule.parse(rule))
  const named = (changes: Partial<Instance>) =>
    routesFor([chest, any], instanceOf(object, { ...film, ...changes }), rules).flatMap(({ model, accepted }) =>
      accepted ? [model.name] : [],
    )
  expect(named({})).toEqual(['any'])
  const source = { kind: 'dimse' as const, peer: 'CT1' }
  expect(named({ source })).toEqual(['chest', 'any'])
  expect(named({ source, site: 'north' })).toEqual(['any'])
  expect(named({ source: { ...source, peer: 'CT2' } })).toEqual(['any'])
  expect(named({ source: { ...source, kind: 'watch' } })).toEqual(['any'])
  expect(named({ modality: 'CT' })).toEqual([])
  expect(named({ modality: null })).toEqual(['any'])
  // A sender that asks for a model by name is bound by the rules too, and told which one it was.
  const asked = routesFor([chest], instanceOf(object, { ...film, requested: ['chest'] }), rules)
  expect(asked).toMatchObject([{ accepted: false, reason: 'rule 2 of models.rules refuses it' }])
})
