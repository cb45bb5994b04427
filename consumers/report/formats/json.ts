/** JSON for programs of one's own; its schema is docs/study-report.schema.json. */
import { type StudyFormat, whole } from '../study/format.ts'
import { studyJson } from './json/study-json.ts'

export const json = (): StudyFormat => ({
  name: 'json',
  contentType: 'application/json',
  render: content => Promise.resolve(whole(Buffer.from(`${JSON.stringify(studyJson(content), undefined, 2)}\n`))),
})
