import { failed, type Raster } from './raster.ts'

export function decode(): Raster {
  throw failed('this codec is not there yet')
}
