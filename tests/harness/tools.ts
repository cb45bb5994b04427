/** Tools that a test drives, where they are installed. */
import { execFileSync } from 'node:child_process'

function installed(tool: string): boolean {
  try {
    execFileSync('which', [tool], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}

/** What is missing of them, and the title of a test that says so. */
export function titleOf(name: string, tools: readonly string[]): { missing: string[]; title: string } {
  const missing = tools.filter(tool => !installed(tool))
  return { missing, title: missing.length > 0 ? `${name} (skipped: ${missing.join(', ')} not installed)` : name }
}
