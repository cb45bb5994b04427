/** Loops over pixels in WebAssembly, which has lanes and words of 64 bits. `npm run wasm` makes pixels.wasm of pixels.wat. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What pixels.wat exports; addresses are bytes of its memory. */
interface Passes {
  memory: { readonly buffer: ArrayBuffer; grow(pages: number): number }
  across(data: number, width: number, rows: number, table: number, groups: number, out: number, stride: number): void
  down(data: number, stride: number, table: number, rows: number, out: number): void
  bits(from: number, end: number, signs: number): number
  shade(from: number, end: number, table: number, mask: number, out: number): void
}

/** The types of Node have it among those of browsers alone. */
declare const WebAssembly: {
  Module: new (code: Uint8Array) => object
  Instance: new (module: object) => { exports: Passes }
}

const page = 64 * 1024
const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, 'pixels.wasm')))
const { memory, across, down, bits, shade } = new WebAssembly.Instance(module).exports

export { across, bits, down, shade }

/** The memory that they work in, of at least so many bytes: anybody's until the next call. It stays as large as it once was. */
export function room(bytes: number): Uint8Array {
  const missing = bytes - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / page))
  return new Uint8Array(memory.buffer)
}
