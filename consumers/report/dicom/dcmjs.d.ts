/** dcmjs brings no types: what is used of it here. */
declare module 'dcmjs' {
  interface Element {
    vr: string
    Value: readonly unknown[]
  }
  type Elements = Record<string, Element>
  export const data: {
    /** A Part 10 file (PS3.10 7): file meta information, then a data set. Both by tag, eight upper-case hexadecimal digits. */
    DicomDict: new (
      meta: Elements,
    ) => { dict: Elements; write(options?: { allowInvalidVRLength?: boolean }): ArrayBuffer }
    DicomMetaDictionary: {
      /** By keyword. `tag` as `(0010,0010)`; `vr` is `ox` or `xs` where it depends on other elements. */
      nameMap: Readonly<Record<string, { tag: string; vr: string; vm: string } | undefined>>
    }
  }
  const dcmjs: { data: typeof data }
  export default dcmjs
}
