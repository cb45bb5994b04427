/** Stores for each test of a file. */
import { afterEach, beforeEach, expect } from 'vitest'
import { openStores, type Stores } from './stores.ts'

export interface OwnStores {
  /** Of the test that is under way; a test may put others in their place. */
  stores: Stores
  /** Called after the test, the last first; the stores are closed last of all. */
  closing: (() => PromiseLike<unknown>)[]
}

export function ownStores(): OwnStores {
  const closing: OwnStores['closing'] = []
  let opened: Stores | undefined
  beforeEach(async () => {
    const stores = await openStores()
    opened = stores
    closing.push(() => stores.close())
  })
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close()
  })
  return {
    closing,
    get stores() {
      return opened ?? expect.unreachable('no test is under way')
    },
    set stores(next) {
      opened = next
    },
  }
}
