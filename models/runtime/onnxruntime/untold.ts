/**
 * From 1.29 on ONNX Runtime tells Microsoft of its sessions and their models, over HTTPS, and keeps an identifier of the
 * machine below the home folder, unless this is set before its library is loaded. Nothing of a hospital leaves it by itself.
 *
 * An import with an effect, as that of cli/compile-cache.ts: it stands before that of the library.
 */
process.env.ORT_DISABLE_TELEMETRY = '1'
