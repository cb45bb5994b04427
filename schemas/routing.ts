/** The operator's routing rules: they narrow what the models' manifests accept, and never widen it. */
import { z } from 'zod'

const anything = z.array(z.string()).default([]).describe('empty: any')

export const routingRule = z.strictObject({
  model: z.string().describe('name or name@version; * for every model'),
  sites: anything,
  sources: anything.describe('kinds of source, such as dimse or upload; empty: any'),
  peers: anything.describe('calling AE titles or routes; empty: any'),
  modalities: anything,
  allow: z.boolean(),
})

export type RoutingRule = z.infer<typeof routingRule>
