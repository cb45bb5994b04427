/** ObjectStore: the port for bytes. Keys are derived from content, so a re-sent image is one object. */
import type { Readable } from 'node:stream'
import type { StoredObject } from '../schemas/topics.ts'

export interface ObjectWriter {
  /** Adds bytes; resolves when more may be written. The chunk may be reused by the caller only after that. */
  write(chunk: Uint8Array): Promise<void>
  /** Makes the object durable under its digest and says what it is called. Twice the same content is one object. */
  commit(contentType: string): Promise<StoredObject>
  /** Forgets what was written. Safe at any time, also after commit (then it does nothing). */
  abort(): Promise<void>
}

export interface ObjectRange {
  /** First byte. */
  start: number
  /** Last byte, inclusive. */
  end: number
}

export interface PutOptions {
  /** Its digest, hex, where the caller has it already. */
  sha256?: string
  /** Someone waits for it to be durable: where the store has a quicker way than the usual one, it takes it. */
  soon?: boolean
}

/** Where the bytes of an object stand within a file of this machine. */
export interface Lent {
  path: string
  /** First byte. */
  start: number
  bytes: number
  /** They stay there until then. Safe to call again. */
  release(): void
}

export interface ObjectStore {
  writer(): Promise<ObjectWriter>
  put(bytes: Uint8Array, contentType: string, options?: PutOptions): Promise<StoredObject>
  /**
   * An object together with a note on it, where the store can: one write makes both durable, and the store delivers the note by
   * itself afterwards, over restarts too (FolderObjectsOptions). Undefined where it cannot now, and nothing is kept then.
   * @param sha256 its digest, hex
   * @param note makes the note; not called where it is clear before that it cannot be taken
   */
  putNoted?(
    bytes: Uint8Array,
    contentType: string,
    sha256: string,
    note: (object: StoredObject) => Promise<Uint8Array>,
  ): Promise<StoredObject | undefined>
  /** The whole object. @throws RaylogError object-missing */
  get(key: string): Promise<Buffer>
  /** A range past the end gives what there is. @throws RaylogError object-missing */
  range(key: string, range: ObjectRange): Promise<Buffer>
  /** @throws RaylogError object-missing, before the first byte */
  stream(key: string, range?: ObjectRange): Promise<Readable>
  stat(key: string): Promise<{ bytes: number; modifiedAt: number } | undefined>
  /** Whether it was there. */
  delete(key: string): Promise<boolean>
  /**
   * In use is what an instance (`object.key`), a report (`object`) or a prediction (`explanation`) names: whoever erases a
   * patient, or sweeps orphans, goes by all three. Equal bytes are one object, which more than one may name.
   */
  list(): AsyncIterable<{ key: string; bytes: number; modifiedAt: number }>
  /**
   * Path of the object on this machine, where the store has one: a worker thread can read it without a copy. Undefined too
   * while an object that just came has no file of its own yet.
   */
  local(key: string): string | undefined
  /** The object where it stands while it has no file of its own; undefined where it has, or is not there. */
  lend?(key: string): Lent | undefined
  /**
   * A URL that reads the object without credentials for so long, where the store has such; a browser saves it under a name that
   * is given (letters, digits, `._-`). It does not check that it is there.
   */
  presign?(key: string, seconds: number, saveAs?: string): Promise<string>
  /** Resolves when a small write would succeed; throws store-full or store-unavailable. */
  check(): Promise<void>
  close(): Promise<void>
}
