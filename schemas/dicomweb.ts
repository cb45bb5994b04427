/** DICOMweb as it is served (PS3.18): one table for routes, their documentation and the conformance statement. */

const ofVideo = (type: string, ...tails: string[]) =>
  Object.fromEntries(tails.map(tail => [`1.2.840.10008.1.2.4.${tail}`, type]))

/** Media type of frames of each compressed transfer syntax, of a video as a whole (PS3.18 table 8.7.3-5). */
export const compressedTypes: Readonly<Record<string, string>> = {
  '1.2.840.10008.1.2.5': 'image/dicom-rle',
  '1.2.840.10008.1.2.4.50': 'image/jpeg',
  '1.2.840.10008.1.2.4.51': 'image/jpeg',
  '1.2.840.10008.1.2.4.57': 'image/jpeg',
  '1.2.840.10008.1.2.4.70': 'image/jpeg',
  '1.2.840.10008.1.2.4.80': 'image/jls',
  '1.2.840.10008.1.2.4.81': 'image/jls',
  '1.2.840.10008.1.2.4.90': 'image/jp2',
  '1.2.840.10008.1.2.4.91': 'image/jp2',
  '1.2.840.10008.1.2.4.92': 'image/jpx',
  '1.2.840.10008.1.2.4.93': 'image/jpx',
  '1.2.840.10008.1.2.4.201': 'image/jphc',
  '1.2.840.10008.1.2.4.202': 'image/jphc',
  '1.2.840.10008.1.2.4.203': 'image/jphc',
  '1.2.840.10008.1.2.4.110': 'image/jxl',
  '1.2.840.10008.1.2.4.111': 'image/jxl',
  '1.2.840.10008.1.2.4.112': 'image/jxl',
  ...ofVideo('video/mpeg', '100', '100.1', '101', '101.1'),
  ...ofVideo('video/mp4', '102', '102.1', '103', '103.1', '104', '104.1', '105', '105.1', '106', '106.1'),
  ...ofVideo('video/H265', '107', '108'),
}

/** Those that lost something, or may have: their objects leave as they are stored unless another syntax is named. */
export const lossySyntaxes: ReadonlySet<string> = new Set([
  '1.2.840.10008.1.2.4.50',
  '1.2.840.10008.1.2.4.51',
  '1.2.840.10008.1.2.4.81',
  '1.2.840.10008.1.2.4.91',
  '1.2.840.10008.1.2.4.203',
])

/** Uncompressed; octets of frames and bulk data are little endian in each of them. */
export const nativeSyntaxes: readonly string[] = ['1.2.840.10008.1.2.1', '1.2.840.10008.1.2']

/** Of the query parameter `window` (PS3.18 8.3.5.1.4), the first where none is named. */
export const windowFunctions = ['linear', 'linear-exact', 'sigmoid'] as const

export interface DicomwebService {
  readonly service: 'QIDO-RS' | 'WADO-RS' | 'STOW-RS'
  readonly method: 'GET' | 'POST'
  /** Under /dicomweb. */
  readonly paths: readonly string[]
  /** What is answered with, the first where nothing is asked for. */
  readonly mediaTypes: readonly string[]
  readonly summary: string
}

const objects = [
  '/studies/:study',
  '/studies/:study/series/:series',
  '/studies/:study/series/:series/instances/:instance',
]
const instance = '/studies/:study/series/:series/instances/:instance'

export const dicomwebServices: readonly DicomwebService[] = [
  {
    service: 'QIDO-RS',
    method: 'GET',
    paths: [
      '/studies',
      '/series',
      '/instances',
      '/studies/:study/series',
      '/studies/:study/instances',
      '/studies/:study/series/:series/instances',
    ],
    mediaTypes: ['application/dicom+json'],
    summary: 'Search by attributes; includefield, limit, offset; literal matching only',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: objects,
    mediaTypes: ['multipart/related; type="application/dicom"', 'application/dicom'],
    summary: 'Objects: with transfer-syntax=* as they are stored, or in any uncompressed transfer syntax',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: objects.map(path => `${path}/metadata`),
    mediaTypes: ['application/dicom+json'],
    summary: 'All elements; binary values above 4,096 bytes, and pixels, by BulkDataURI',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: [`${instance}/frames/:frames`],
    mediaTypes: [
      'multipart/related; type="application/octet-stream"',
      ...[...new Set(Object.values(compressedTypes))].map(type => `multipart/related; type="${type}"`),
    ],
    summary: 'Frames, as stored or uncompressed',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: [`${instance}/bulkdata/*`],
    mediaTypes: ['multipart/related; type="application/octet-stream"', 'application/octet-stream'],
    summary: 'One binary value, little endian; Range of one range',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: [`${instance}/rendered`, `${instance}/frames/:frames/rendered`],
    mediaTypes: ['image/jpeg', 'image/png'],
    summary: 'A picture; window, viewport, quality',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: objects.filter(path => path !== instance).map(path => `${path}/rendered`),
    mediaTypes: ['multipart/related; type="image/jpeg"', 'multipart/related; type="image/png"'],
    summary: 'A picture of each image; window, viewport, quality',
  },
  {
    service: 'WADO-RS',
    method: 'GET',
    paths: objects.map(path => `${path}/thumbnail`),
    mediaTypes: ['image/jpeg', 'image/png'],
    summary: 'A small picture of the first image; viewport',
  },
  {
    service: 'STOW-RS',
    method: 'POST',
    paths: ['/studies', '/studies/:study'],
    mediaTypes: ['application/dicom+json'],
    summary:
      'Store objects: multipart/related; type="application/dicom", or "application/dicom+json" with bulk data, or one object as application/dicom',
  },
]
