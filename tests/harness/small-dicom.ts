/** A DICOM file of a few elements, written by hand: what it says is in the test. */
import { filePrefix } from '../../dicom/part10.ts'
import { element } from '../../models/testing.ts'

const short = (group: number, number: number, value: number) =>
  element(group, number, 'US', Buffer.from(Uint16Array.of(value).buffer))

/** A grey image of 4 x 4; `before` bytes of a private element stand before the patient. */
export function aDicom({ name = 'Canary^Carla', patientId = '12345', uid = '1.2.3.4', before = 0 } = {}): Buffer {
  const sopClass = '1.2.840.10008.5.1.4.1.1.7'
  return Buffer.concat([
    filePrefix(sopClass, uid, '1.2.840.10008.1.2.1'),
    element(0x0008, 0x0005, 'CS', 'ISO_IR 192'),
    element(0x0008, 0x0016, 'UI', sopClass),
    element(0x0008, 0x0018, 'UI', uid),
    element(0x0008, 0x0060, 'CS', 'OT'),
    element(0x0009, 0x0010, 'LO', 'RAYLOG'),
    element(0x0009, 0x1001, 'OB', Buffer.alloc(before)),
    element(0x0010, 0x0010, 'PN', name),
    element(0x0010, 0x0020, 'LO', patientId),
    element(0x0010, 0x0040, 'CS', 'F'),
    element(0x0020, 0x000d, 'UI', '1.2.3'),
    element(0x0020, 0x000e, 'UI', '1.2.3.1'),
    short(0x0028, 0x0002, 1),
    element(0x0028, 0x0004, 'CS', 'MONOCHROME2'),
    short(0x0028, 0x0010, 4),
    short(0x0028, 0x0011, 4),
    short(0x0028, 0x0100, 8),
    short(0x0028, 0x0101, 8),
    short(0x0028, 0x0102, 7),
    short(0x0028, 0x0103, 0),
    element(0x7fe0, 0x0010, 'OW', Buffer.alloc(16, 9)),
  ])
}
