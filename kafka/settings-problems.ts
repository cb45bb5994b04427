/** What is wrong with a setting, and what to do about it, in one line that begins with its path. */
import { z } from 'zod'

/** A node of the JSON Schema of raylog.yaml, as far as it is read here. */
const schemaNode = z.looseObject({
  type: z.unknown().optional(),
  default: z.unknown().optional(),
  description: z.string().optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  items: z.unknown().optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
})
type SchemaNode = z.infer<typeof schemaNode>

const seeSchema = '"raylog config --schema" says what it takes'
/** Longer defaults, of whole sections, say nothing in a line. */
const longestDefault = 40

/**
 * @param schema of all settings, as z.toJSONSchema gives it
 * @param sections names at the top, for what was mistyped
 */
export function explainIssue(issue: z.core.$ZodIssue, schema: unknown, sections: readonly string[]): string[] {
  const path = issue.path.join('.')
  if (issue.code !== 'unrecognized_keys') {
    const remedy = remedyFor(issue, schema)
    return [`${path || 'settings'}: ${issue.message}${remedy ? `; ${remedy}` : ''}`]
  }
  const known = issue.path.length === 0 ? sections : []
  return issue.keys.map(key => {
    const full = path ? `${path}.${key}` : key
    const near = known.find(name => name.toLowerCase().startsWith(key.slice(0, 3).toLowerCase()))
    return `${full}: there is no such setting${near ? `; did you mean "${near}"?` : ''} ("raylog config --schema" lists them all)`
  })
}

/** Empty where a rule between settings is broken: its message is written by hand, and says what to do. */
function remedyFor(issue: z.core.$ZodIssue, schema: unknown): string {
  const node = nodeAt(schema, issue.path)
  if (issue.code === 'custom' && (!node || isSection(node))) return ''
  if (!node) return seeSchema
  const missing = issue.code === 'invalid_type' && issue.message.endsWith('received undefined')
  const left = 'default' in node ? JSON.stringify(node.default) : undefined
  const short = left !== undefined && left.length <= longestDefault
  const act = missing ? 'give it' : short ? `mend it, or leave it out for ${left}` : 'mend it'
  return `${act} (${node.description ?? seeSchema})`
}

const isSection = (node: SchemaNode): boolean =>
  node.type === 'object' || node.items !== undefined || branchesOf(node).some(isSection)

function branchesOf({ anyOf = [], oneOf = [] }: SchemaNode): SchemaNode[] {
  return [...anyOf, ...oneOf].flatMap(branch => {
    const parsed = schemaNode.safeParse(branch)
    return parsed.success ? [parsed.data] : []
  })
}

/** What the schema says of a path; undefined where it says nothing, or which of several it is cannot be told. */
function nodeAt(schema: unknown, path: readonly PropertyKey[]): SchemaNode | undefined {
  const parsed = schemaNode.safeParse(schema)
  if (!parsed.success) return undefined
  const node = parsed.data
  const [key, ...rest] = path
  if (key === undefined) return node
  const inner = typeof key === 'number' ? node.items : node.properties?.[String(key)]
  if (inner !== undefined) return nodeAt(inner, rest)
  for (const branch of branchesOf(node)) {
    const found = nodeAt(branch, path)
    if (found) return found
  }
  return undefined
}
