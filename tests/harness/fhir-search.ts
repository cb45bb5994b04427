/** A FHIR server searched as any other system would, with parameters of R4 alone. */
import { z } from 'zod'

const reference = z.object({ reference: z.string() }).partial()
const coding = z.looseObject({ system: z.string().optional(), code: z.string().optional() })
const concept = z.looseObject({ coding: z.array(coding).default([]), text: z.string().optional() })

/** Of the resources of a study what tests read. */
const resource = z.looseObject({
  resourceType: z.string(),
  id: z.string(),
  meta: z.looseObject({ versionId: z.string() }),
  status: z.string().optional(),
  code: concept.optional(),
  subject: reference.optional(),
  result: z.array(reference).default([]),
  imagingStudy: z.array(reference).default([]),
  derivedFrom: z.array(reference).default([]),
  component: z
    .array(z.looseObject({ code: concept, valueQuantity: z.looseObject({ value: z.number() }).optional() }))
    .default([]),
})
export type FhirResource = z.infer<typeof resource>
const answered = z.looseObject({ entry: z.array(z.looseObject({ resource })).default([]) })

/** `Type/id`, as others refer to it. */
export const placeOf = ({ resourceType, id }: FhirResource): string => `${resourceType}/${id}`

/** @param url base of the server */
export function fhirClient(url: string) {
  async function ask(path: string, init: RequestInit = {}): Promise<unknown> {
    const headers = { 'cache-control': 'no-cache', 'content-type': 'application/fhir+json' }
    const answer = await fetch(`${url}/${path}`, { headers, ...init })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  return {
    search: async (type: string, parameters: Record<string, string>): Promise<FhirResource[]> =>
      answered.parse(await ask(`${type}?${new URLSearchParams(parameters)}`)).entry.map(one => one.resource),
    read: async (place: string): Promise<FhirResource> => resource.parse(await ask(place)),
    create: async (one: { resourceType: string } & Record<string, unknown>): Promise<FhirResource> =>
      resource.parse(await ask(one.resourceType, { method: 'POST', body: JSON.stringify(one) })),
  }
}
