/**
 * glibc gives each thread a heap of its own, and what one has freed stays with it: over thousands of images the thread pool,
 * the databases and the previews came to hold 150 MB that nobody used. How many heaps there are is asked of the environment
 * when a process begins, so this one begins again.
 */
export function beginWithFewArenas(): void {
  const { env, execArgv, execPath, argv } = process
  // On systems with another C library it changes nothing.
  if (process.platform !== 'linux' || env.MALLOC_ARENA_MAX !== undefined || !process.execve) return
  // The same process id, the same files open.
  process.execve(execPath, [execPath, ...execArgv, ...argv.slice(1)], { ...env, MALLOC_ARENA_MAX: '2' })
}
