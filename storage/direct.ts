/** Writes that are on the disk when they return, past the page cache where the file system can. */
import { constants } from 'node:fs'

/** Direct writes begin and end at multiples of it, in the file and in memory; bytes. */
export const pageBytes = 4_096

/** How a file is opened for it. A file system that cannot says EINVAL; then `dsync` alone. */
export const flags = {
  direct: (constants.O_DSYNC ?? 0) | (constants.O_DIRECT ?? 0),
  dsync: constants.O_DSYNC ?? 0,
  /** For much that is synced once, at its end. */
  unsynced: constants.O_DIRECT ?? 0,
} as const

/** Whether this system can open a file so that each write is synced. */
export const canSync = typeof constants.O_DSYNC === 'number' && typeof constants.O_DIRECT === 'number'

/** Of the JavaScript API of WebAssembly, which Node's types leave out. */
declare const WebAssembly: { Memory: new (size: { initial: number }) => { readonly buffer: ArrayBuffer } }

/** Memory for direct writes. WebAssembly's is the one kind that is sure to begin at a page. */
export function alignedMemory(bytes: number): Buffer {
  const memory = new WebAssembly.Memory({ initial: Math.ceil(bytes / 65_536) })
  return Buffer.from(memory.buffer, 0, bytes)
}
