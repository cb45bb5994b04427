/** C-ECHO (PS3.4 A). On any context: devices check whether a node is there on whichever they have. */
import { commandField, status } from '../../../dicom/command.ts'
import type { Service } from './service.ts'

export const echo: Service = {
  field: commandField.echo,
  takes: () => true,
  serve: () => Promise.resolve({ code: status.success }),
}
