/** JSON for programs of one's own; its schema is docs/study-report.schema.json. */
import { reportTypes } from '../../../schemas/report-types.ts'
import { type StudyFormat, whole } from '../study/format.ts'
import { studyJson } from './json/study-json.ts'

export const json = (): StudyFormat => ({
  name: 'json',
  contentType: reportTypes.json.contentType,
  render: content => Promise.resolve(whole(Buffer.from(`${JSON.stringify(studyJson(content), undefined, 2)}\n`))),
})
