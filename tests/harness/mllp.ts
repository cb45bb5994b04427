/** An MLLP receiver in Python (python-hl7), which tells what it reads in the messages that it acknowledges. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { pythonWith } from './python.ts'
import { freePort } from './raylog.ts'
import { until } from './until.ts'

/** Segments; each its fields from its name on; of a field the repetitions; of those the components, unescaped. */
const message = z.array(z.array(z.array(z.array(z.string()))))
type Message = z.infer<typeof message>
export type Segment = Message[number]

export const mllpPython = () => pythonWith(['hl7==0.4.5'])

export const segmentsOf = (from: Message | undefined, name: string): Segment[] =>
  (from ?? []).filter(([first]) => first?.[0]?.[0] === name)

/** The components of a field's first repetition, counted as HL7 does: `OBX-5` is field 5. */
export const fieldOf = (segment: Segment | undefined, field: number): string[] => segment?.[field]?.[0] ?? []

export interface MllpReceiver extends AsyncDisposable {
  readonly port: number
  /** In the order in which they came. */
  readonly messages: Message[]
}

/** @param python of `mllpPython` */
export async function startMllpReceiver(python: string): Promise<MllpReceiver> {
  const port = await freePort()
  const script = join(import.meta.dirname, 'mllp_receiver.py')
  const child = spawn(python, [script, String(port)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const messages: Message[] = []
  let ready = false
  createInterface(child.stdout).on('line', line => {
    if (line === 'ready') ready = true
    else messages.push(message.parse(JSON.parse(line)))
  })
  await until('the MLLP receiver listens', () => ready)
  return {
    port,
    messages,
    async [Symbol.asyncDispose]() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}
