/** Full jitter over the upper half: 0.5..1 times the pause, which doubles with each attempt; whole ms. */
export function backoff(
  { firstMs, mostMs }: { firstMs: number; mostMs: number },
  attempt: number,
  random: () => number,
): number {
  return Math.ceil(Math.min(mostMs, firstMs * 2 ** Math.min(attempt - 1, 30)) * (0.5 + random() / 2))
}
