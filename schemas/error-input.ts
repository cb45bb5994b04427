/** Of the error table (error-table.ts): what is wrong with what was sent. */
import type { ErrorEntry } from './error-entry.ts'

export const inputErrors = {
  'not-an-image': {
    verdict: 'park',
    http: 415,
    dimse: 0xc000,
    title: 'Not an image that Raylog reads',
    remedy: 'Send DICOM, PNG, JPEG or TIFF, or a ZIP of these.',
  },
  'empty-upload': {
    verdict: 'park',
    http: 400,
    dimse: 0xc000,
    title: 'Nothing was sent',
    remedy: 'Send at least one file that is not empty.',
  },
  truncated: {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The data end too early',
    remedy: 'Send the file again; if it stays, ask the sending system for a complete copy.',
  },
  'malformed-dicom': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The DICOM data set cannot be parsed',
    remedy: 'Check the file with dcmdump; the sending system wrote it wrongly.',
  },
  'identity-mismatch': {
    verdict: 'park',
    http: 422,
    dimse: 0xa900,
    title: 'The data set is not what the request said',
    remedy: 'SOP class or instance of command and data set differ; mend the sending system.',
  },
  'unknown-transfer-syntax': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The transfer syntax is not one that Raylog decodes',
    remedy: 'Stored, not analysed. Have the sender convert it, or see docs/errors.md for the list.',
  },
  'not-deidentified': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The object cannot be de-identified',
    remedy: 'It was not kept. Send DICOM, or allow pictures as they are with deidentify.plainImages.',
  },
  'pixels-not-cleaned': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'Names may be burnt into the image, and no rule says where',
    remedy: 'It was not kept. Add a rule for this device to deidentify.pixels.rules, or have such images made black.',
  },
  'video-not-decoded': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'Video is stored, and not decoded',
    remedy: 'It can be fetched as it is and watched with a DICOM player; models and previews take images.',
  },
  'no-pixels': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'There is no image in it',
    remedy: 'Stored, not analysed. Reports, waveforms and plans have no pixels.',
  },
  'decode-failed': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The pixels cannot be decoded',
    remedy: 'The compressed image is damaged. Ask the sending system for another copy, then retry the parked event.',
  },
  'too-large': {
    verdict: 'park',
    http: 413,
    // Not 0xA700: it will not be any smaller the next time, and senders would try for ever.
    dimse: 0xc000,
    title: 'Larger than the limit',
    remedy: 'Raise the limit named in the message, if this size is meant.',
  },
  'zip-refused': {
    verdict: 'park',
    http: 422,
    dimse: 0xc000,
    title: 'The ZIP archive is refused',
    remedy: 'Send fewer or smaller files, without nested archives or encryption.',
  },
} as const satisfies Record<string, ErrorEntry>
