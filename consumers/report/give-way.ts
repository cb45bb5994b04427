/** Work that nobody waits for, in a thread of its own, and how it leaves the cores to what somebody waits for. */
import { readlinkSync } from 'node:fs'
import { setPriority } from 'node:os'
import { basename } from 'node:path'

/**
 * From here on the calling thread has a lower priority than the rest of its process: next to a thread that is busy it has a
 * tenth of a core, and all of one that is idle. Linux alone gives threads priorities of their own (setpriority(2), Notes);
 * elsewhere, and where it is not permitted, nothing changes.
 */
export function giveWay(): void {
  if (process.platform !== 'linux') return
  try {
    // A call that blocks is made by the calling thread itself, so this is its own id.
    const thread = Number(basename(readlinkSync('/proc/thread-self')))
    setPriority(thread, 10)
  } catch {
    // Without /proc or the permission it goes on as it is.
  }
}
