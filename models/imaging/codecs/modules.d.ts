/** Types of the packages that bring none, as far as they are used here. */

declare module 'dicom-parser' {
  /** The package exports the class; its own types declare the interface only. */
  export const DataSet: new (parser: ByteArrayParser, bytes: ByteArray, elements: Record<string, Element>) => DataSet
}

declare module 'dicom-character-set' {
  /** @param charset Specific Character Set as in the file, values joined by backslashes */
  export function convertBytes(charset: string | undefined, bytes: Uint8Array, options?: { vr?: string }): string
}

declare module '@cornerstonejs/codec-charls/decodewasmjs' {
  interface JpegLsDecoder {
    getEncodedBuffer(bytes: number): Uint8Array
    getDecodedBuffer(): Uint8Array
    decode(): void
    getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number }
    /** 0 none (planes), 1 line, 2 sample */
    getInterleaveMode(): number | { value: number }
    delete(): void
  }
  interface CharLs {
    JpegLSDecoder: new () => JpegLsDecoder
    getExceptionMessage(thrown: number): string
  }
  export default function load(options: { print(text: string): void; printErr(text: string): void }): Promise<CharLs>
}

declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' {
  interface JpegDecoder {
    getEncodedBuffer(bytes: number): Uint8Array
    getDecodedBuffer(): Uint8Array
    decode(): void
    getFrameInfo(): { width: number; height: number; componentCount: number }
    delete(): void
  }
  interface Turbo {
    JPEGDecoder: new () => JpegDecoder
  }
  export default function load(options: { print(text: string): void; printErr(text: string): void }): Promise<Turbo>
}

declare module '@cornerstonejs/codec-openjpeg/decodewasmjs' {
  interface J2kDecoder {
    getEncodedBuffer(bytes: number): Uint8Array
    getDecodedBuffer(): Uint8Array
    decode(): void
    getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number; isSigned: boolean }
    delete(): void
  }
  interface OpenJpeg {
    J2KDecoder: new () => J2kDecoder
  }
  export default function load(options: { print(text: string): void; printErr(text: string): void }): Promise<OpenJpeg>
}

declare module '@cornerstonejs/codec-openjph' {
  interface HtJ2kDecoder {
    getEncodedBuffer(bytes: number): Uint8Array
    getDecodedBuffer(): Uint8Array
    decode(): void
    getFrameInfo(): { width: number; height: number; bitsPerSample: number; componentCount: number; isSigned: boolean }
    delete(): void
  }
  interface OpenJph {
    HTJ2KDecoder: new () => HtJ2kDecoder
  }
  export default function load(options: { print(text: string): void; printErr(text: string): void }): Promise<OpenJph>
}
