import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { allToTheirEnd, errorTable, RaylogError, toRaylogError } from './errors.ts'

const page = readFileSync(new URL('../docs/errors.md', import.meta.url), 'utf8')

describe('the error table', () => {
  it('is what docs/errors.md says, code by code', () => {
    const documented = [
      ...page.matchAll(/^## ([a-z-]+)\n\n(.+)\n\n.*verdict `([a-z]+)`, HTTP (\d+), DIMSE 0x([0-9A-F]{4})\.\n\n(.+)$/gm),
    ]
    const fromPage = documented.map(([, code, title, verdict, http, dimse, remedy]) => ({
      code,
      title: title?.replace(/\.$/, ''),
      verdict,
      http: Number(http),
      dimse: Number.parseInt(dimse ?? '', 16),
      remedy,
    }))
    const fromTable = Object.entries(errorTable).map(([code, entry]) => ({ code, ...entry }))
    expect(fromPage).toEqual(
      fromTable.map(({ code, title, verdict, http, dimse, remedy }) => ({ code, title, verdict, http, dimse, remedy })),
    )
  })

  it('takes a full disk for what it is, however it is said', () => {
    expect(toRaylogError(Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })).code).toBe('store-full')
    expect(toRaylogError(new Error('database or disk is full')).code).toBe('store-full')
  })

  it('keeps an error of ours and calls the unknown internal', () => {
    const ours = new RaylogError('no-pixels', 'a report')
    expect(toRaylogError(ours)).toBe(ours)
    expect(toRaylogError('a string').code).toBe('internal')
  })
})

describe('several failures of one event', () => {
  const failing = (...codes: (keyof typeof errorTable)[]) =>
    allToTheirEnd(codes.map(code => Promise.reject(new RaylogError(code, 'it failed'))))

  it('are one that would pass rather than one that would give the event up, else the first', async () => {
    await expect(failing('not-found', 'store-unavailable', 'busy')).rejects.toMatchObject({ code: 'store-unavailable' })
    await expect(failing('not-found', 'internal')).rejects.toMatchObject({ code: 'internal' })
    await expect(failing('no-pixels', 'not-found')).rejects.toMatchObject({ code: 'no-pixels' })
    await expect(allToTheirEnd([Promise.reject('a string'), Promise.resolve()])).rejects.toBe('a string')
    await expect(allToTheirEnd([Promise.reject(undefined)])).rejects.toBeUndefined()
    await expect(allToTheirEnd([])).resolves.toBeUndefined()
  })

  it('are told when the last of the work has ended', async () => {
    const slow = Promise.withResolvers<void>()
    let told = false
    const all = allToTheirEnd([failing('internal'), slow.promise]).catch(() => {
      told = true
    })
    await new Promise(setImmediate)
    expect(told).toBe(false)
    slow.resolve()
    await all
    expect(told).toBe(true)
  })
})
