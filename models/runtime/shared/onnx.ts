/** The little of the ONNX file format (protocol buffers, onnx.proto) that is needed to take declared inputs out of a graph. */

/** Field numbers of onnx.proto: ModelProto.graph, GraphProto.input, ValueInfoProto.name. */
const fieldOf = { graph: 7, input: 11, name: 1 }
const lengthDelimited = 2
/** Bytes of the wire types of fixed length. */
const fixedBytes: Readonly<Record<number, number>> = { 1: 8, 5: 4 }

interface Field {
  number: number
  /** Of a length-delimited one. */
  body: Uint8Array
  /** With its tag and length. */
  whole: Uint8Array
}

/**
 * @param model a serialised ModelProto
 * @returns the same with those inputs of its graph alone that are named
 * @throws RangeError where it is no such thing
 */
export function keepInputs(model: Uint8Array, names: readonly string[]): Buffer {
  const text = new TextDecoder()
  const isLeftOut = ({ number, body }: Field) =>
    number === fieldOf.input &&
    [...fieldsOf(body)].some(one => one.number === fieldOf.name && !names.includes(text.decode(one.body)))
  return Buffer.concat(
    [...fieldsOf(model)].flatMap(field => {
      if (field.number !== fieldOf.graph) return [field.whole]
      const kept = [...fieldsOf(field.body)].filter(one => !isLeftOut(one)).map(one => one.whole)
      const length = kept.reduce((sum, one) => sum + one.length, 0)
      return [varint((fieldOf.graph << 3) | lengthDelimited), varint(length), ...kept]
    }),
  )
}

function* fieldsOf(message: Uint8Array): Generator<Field> {
  for (let at = 0; at < message.length; ) {
    const tag = readVarint(message, at)
    const type = tag.value % 8
    const value = type === 0 || type === lengthDelimited ? readVarint(message, tag.end) : undefined
    const from = value?.end ?? tag.end
    const length = type === lengthDelimited ? (value?.value ?? 0) : (fixedBytes[type] ?? (value ? 0 : Number.NaN))
    if (!(from + length <= message.length)) throw new RangeError('it is no ONNX model')
    const end = from + length
    yield { number: Math.floor(tag.value / 8), body: message.subarray(from, end), whole: message.subarray(at, end) }
    at = end
  }
}

/** Little endian, seven bits a byte. */
function readVarint(bytes: Uint8Array, at: number): { value: number; end: number } {
  let value = 0
  for (let scale = 1, end = at; ; scale *= 128, end += 1) {
    const byte = bytes[end]
    if (byte === undefined) throw new RangeError('it is no ONNX model')
    value += (byte & 127) * scale
    if (byte < 128) return { value, end: end + 1 }
  }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  for (let left = value; ; left = Math.floor(left / 128)) {
    bytes.push(left < 128 ? left : (left % 128) | 128)
    if (left < 128) return Uint8Array.from(bytes)
  }
}
