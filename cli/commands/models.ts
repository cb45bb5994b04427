/** raylog models: what is in the model folders, what each takes and what it is worth. */

import type { ModelManifest } from '../../models/manifest.ts'
import { nameOf, readModels } from '../../models/registry.ts'
import { platformSettings, type SettingSources } from '../settings.ts'
import { table } from '../table.ts'

export async function showModels(sources: SettingSources, json: boolean): Promise<void> {
  const { models } = platformSettings(sources)
  const found = await readModels(models)
  if (json)
    return console.log(
      JSON.stringify({ models: found.models.map(({ manifest }) => manifest), problems: found.problems }, null, 2),
    )
  console.log(
    table(
      found.models.map(({ manifest }) => [nameOf(manifest), takes(manifest), worth(manifest)]),
      ['MODEL', 'TAKES', 'QUALITY'],
    ),
  )
  for (const { path, reason, remedy } of found.problems) console.log(`\n  ${path}: ${reason}\n  ${remedy}`)
}

const takes = ({ accepts: { modalities, bodyParts, views, contentTypes } }: ModelManifest): string =>
  [modalities, bodyParts, views]
    .filter(list => list.length > 0)
    .map(list => list.join('/'))
    .join(' ') ||
  contentTypes.join(', ') ||
  'anything'

/** The same on two sets of data is said once: on which, the page and --json say. */
const worth = ({ card }: ModelManifest): string =>
  [
    ...new Set(
      card.quality.map(
        ({ measure, value, low, high }) => `${measure} ${value}${low === undefined ? '' : ` (${low} to ${high})`}`,
      ),
    ),
  ].join(', ')
