/** Loops over pixels in WebAssembly, which has lanes and words of 64 bits. `npm run wasm` makes pixels.wasm of pixels.wat. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { z } from 'zod'

/** What is used of it; the types of Node have it among those of browsers alone. */
declare const WebAssembly: {
  Module: new (code: Uint8Array) => object
  Instance: new (module: object) => { exports: unknown }
}

const page = 64 * 1024
const taking = (count: number) =>
  z.custom<(...values: number[]) => number>(value => value instanceof Function && value.length === count)

const { memory, across, down, bits, shade } = z
  .object({
    memory: z.custom<{ readonly buffer: ArrayBuffer; grow(pages: number): number }>(value => value instanceof Object),
    across: taking(7),
    down: taking(5),
    bits: taking(3),
    shade: taking(5),
  })
  .parse(
    new WebAssembly.Instance(new WebAssembly.Module(readFileSync(join(import.meta.dirname, 'pixels.wasm')))).exports,
  )

export { across, bits, down, shade }

/** The memory that they work in, of at least so many bytes: anybody's until the next call. It stays as large as it once was. */
export function room(bytes: number): Uint8Array {
  const missing = bytes - memory.buffer.byteLength
  if (missing > 0) memory.grow(Math.ceil(missing / page))
  return new Uint8Array(memory.buffer)
}
