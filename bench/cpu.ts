/** CPU time of processes, which says how much work something is even where others use the cores too. */
import { readdirSync, readFileSync } from 'node:fs'

/** One tick of the kernel's accounting, ms (USER_HZ is 100 on Linux). */
const tickMs = 10

/**
 * CPU time of the processes so far, and of what they started that has ended, ms (proc_pid_stat(5), fields 14 to 17).
 * @throws where there is no /proc, or a process is gone
 */
export function cpuMsOf(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? []
    return sum + [11, 12, 13, 14].reduce((ticks, at) => ticks + Number(fields[at]), 0) * tickMs
  }, 0)
}

/** The process and its descendants. @throws where there is no /proc */
export function treeOf(pid: number): number[] {
  const children = readdirSync(`/proc/${pid}/task`).flatMap(thread =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  )
  return [pid, ...children.flatMap(treeOf)]
}
