/** Execution providers that this machine's ONNX Runtime brings; one that is listed may still lack its hardware. */
export async function availableProviders(): Promise<string[]> {
  const { listSupportedBackends } = await import('./onnxruntime/onnxruntime.ts')
  return listSupportedBackends()
    .filter(({ bundled }) => bundled)
    .map(({ name }) => name)
}
