import { expect, it } from 'vitest'
import { aPrediction, aReport } from '../../../tests/gateway/samples.ts'
import { titlesInLists, titlesOf } from './report-titles.ts'

it('files of a study are called by format, image and model, and no two the same', () => {
  const ofStudy = { prediction: null, instance: null }
  const reports = [
    aReport(1, { ...ofStudy, format: 'pdf-study' }),
    aReport(2, { ...ofStudy, format: 'dicom-sc', instance: 'in_0002' }),
    aReport(3, { ...ofStudy, format: 'dicom-sc', instance: 'in_0001' }),
    // Of a version that did not say which image; and of an image that is not among those that are shown.
    aReport(4, { ...ofStudy, format: 'dicom-sc' }),
    aReport(5, { ...ofStudy, format: 'dicom-sc', instance: 'in_0009' }),
    aReport(6, { instance: 'in_0002', prediction: 'pr_0002' }),
    aReport(7, { instance: 'in_0002', prediction: 'pr_0012' }),
  ]
  const other = { ...aPrediction(2).model, name: 'other' }
  const titles = titlesOf(reports, {
    instances: [{ id: 'in_0001' }, { id: 'in_0002' }],
    predictions: [aPrediction(2), aPrediction(12, { model: other })],
  })
  expect(reports.map(({ id }) => titles.get(id))).toEqual([
    'PDF report',
    'Picture (image 2)',
    'Picture (image 1)',
    'Picture, 1 of 2',
    'Picture, 2 of 2',
    'PDF page of one image (image 2, chest@1.0.0)',
    'PDF page of one image (image 2, other@1.0.0)',
  ])
})

it('a file is called the same in the list of reports and wherever else it is named, whatever replaced it', () => {
  const picture = { format: 'dicom-sc', prediction: null, instance: null }
  const reports = [
    aReport(1, { ...picture, revision: 1 }),
    aReport(2, { ...picture, revision: 1 }),
    // Alone of its kind in its revision, as in its list.
    aReport(3, { ...picture, revision: 2 }),
    aReport(4, { instance: 'in_0002', prediction: 'pr_0002' }),
    // Sent on its way elsewhere, not kept: in no list.
    aReport(5, { ...picture, revision: 2, destination: 'elsewhere' }),
  ]
  const titles = titlesInLists(reports, { instances: [{ id: 'in_0002' }], predictions: [aPrediction(2)] })
  expect(reports.map(({ id }) => titles.get(id))).toEqual([
    'Picture, 1 of 2',
    'Picture, 2 of 2',
    'Picture',
    'PDF page of one image (image 1, chest@1.0.0)',
    undefined,
  ])
})
