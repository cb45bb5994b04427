/** raylog config: what is in force, and what could be set. */
import { stringify } from 'yaml'
import { compile, configJsonSchema } from '../../kafka/compile.ts'
import { readSettings, type SettingSources } from '../settings.ts'
import { allStages } from '../stages.ts'

export function showConfig(sources: SettingSources, schema: boolean): void {
  if (schema) console.log(JSON.stringify(configJsonSchema(allStages), null, 2))
  else console.log(stringify(compile(allStages, readSettings(sources)).effective).trimEnd())
}
