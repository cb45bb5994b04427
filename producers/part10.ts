/**
 * Preamble and File Meta Information (PS3.10 7.1) before a data set, as one that came by C-STORE. The same for every sender
 * and version of ours: the object's name is its digest, so an image that is sent again is the same object.
 */

export const implementation = { classUid: '2.25.251462843917846027411936409137826502873', version: 'RAYLOG' } as const

function element(which: number, vr: string, value: Buffer): Buffer {
  const long = vr === 'OB'
  const header = Buffer.alloc(long ? 12 : 8)
  header.writeUInt16LE(0x0002, 0)
  header.writeUInt16LE(which, 2)
  header.write(vr, 4, 'latin1')
  if (long) header.writeUInt32LE(value.length, 8)
  else header.writeUInt16LE(value.length, 6)
  return Buffer.concat([header, value])
}

function text(which: number, vr: string, value: string): Buffer {
  const pad = vr === 'UI' ? '\0' : ' '
  return element(which, vr, Buffer.from(value.length % 2 ? value + pad : value, 'latin1'))
}

/** 128 bytes of zeros, DICM and group 0002, explicit VR little endian. */
export function filePrefix(sopClass: string, sopInstance: string, transferSyntax: string): Buffer {
  const group = Buffer.concat([
    element(0x0001, 'OB', Buffer.from([0, 1])),
    text(0x0002, 'UI', sopClass),
    text(0x0003, 'UI', sopInstance),
    text(0x0010, 'UI', transferSyntax),
    text(0x0012, 'UI', implementation.classUid),
    text(0x0013, 'SH', implementation.version),
  ])
  const length = Buffer.alloc(4)
  length.writeUInt32LE(group.length)
  return Buffer.concat([Buffer.alloc(128), Buffer.from('DICM', 'latin1'), element(0x0000, 'UL', length), group])
}
