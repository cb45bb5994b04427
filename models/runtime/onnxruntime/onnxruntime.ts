/** The one way to ONNX Runtime, since what it must know is set before. */
import './untold.ts'

export { InferenceSession, listSupportedBackends, Tensor } from 'onnxruntime-node'
