/** V8 takes three of them for what is young. Left to itself it takes 32 MB each once a process is busy; 16 and 8 cost the same time, and 4 more (bench/notes-engine.md). MB. */
const semiSpace = '--max-semi-space-size=8'
/** V8 lets what is old grow up to fourfold before it collects it: 24 MB more for each 1,200 images, for nothing gained (bench/notes-engine.md). %. */
const growth = '--heap-growing-percent=40'

/**
 * glibc gives each thread a heap of its own, and what one has freed stays with it: over thousands of images the thread pool,
 * the databases and the previews came to hold 150 MB that nobody used. How many heaps there are is asked of the environment
 * when a process begins, so this one begins again. Whoever sets MALLOC_ARENA_MAX has it as they want.
 */
export function beginWithFewArenas(): void {
  const { env, execArgv, execPath, argv } = process
  // On systems with another C library it changes nothing.
  if (process.platform !== 'linux' || env.MALLOC_ARENA_MAX !== undefined || !process.execve) return
  // The same process id, the same files open. What the caller says of V8 comes last, and holds.
  process.execve(execPath, [execPath, semiSpace, growth, ...execArgv, ...argv.slice(1)], {
    ...env,
    MALLOC_ARENA_MAX: '2',
  })
}
