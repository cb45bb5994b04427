/** What processes cost: CPU time and memory, of a process and of all that it started (proc_pid_stat(5), Linux). */
import { readFileSync } from 'node:fs'

/** A clock tick of /proc, ms. */
const tickMs = 10

/** The processes and their descendants. */
export function treeOf(pids: readonly number[]): number[] {
  return pids.flatMap(pid => [pid, ...treeOf(childrenOf(pid))])
}

const childrenOf = (pid: number): number[] =>
  readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean).map(Number)

/** CPU time of all of them so far, ms. It says the same where others use the cores too. */
export function cpuMsOf(pids: readonly number[]): number {
  const ticks = pids.map(pid => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return Number(fields[11]) + Number(fields[12])
  })
  return ticks.reduce((sum, one) => sum + one, 0) * tickMs
}

/** Resident memory of all of them; what several share is counted once, in parts (Pss of smaps_rollup). MB. */
export function residentMbOf(pids: readonly number[]): number {
  const kb = pids.map(pid => Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8'))?.[1] ?? 0))
  return kb.reduce((sum, one) => sum + one, 0) / 1_024
}
