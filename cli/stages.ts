/** Every stage that Raylog has. Adding one is adding a line here. */
import { audit } from '../consumers/audit/stage.ts'
import { deliver } from '../consumers/deliver/stage.ts'
import { notify } from '../consumers/notify/stage.ts'
import { persist } from '../consumers/persist/stage.ts'
import { report } from '../consumers/report/stage.ts'
import { syslog } from '../consumers/syslog/stage.ts'
import { gateway } from '../gateway/stage.ts'
import type { AnyStage } from '../kafka/stage.ts'
import { assessStudy } from '../processors/assess-study/stage.ts'
import { expectImages } from '../processors/expect-images/stage.ts'
import { infer } from '../processors/infer/stage.ts'
import { replay } from '../processors/replay/stage.ts'
import { dicomweb } from '../producers/dicomweb/stage.ts'
import { dimse } from '../producers/dimse/stage.ts'
import { retrieve } from '../producers/retrieve/stage.ts'
import { simulator } from '../producers/simulator/stage.ts'
import { upload } from '../producers/upload/stage.ts'
import { watch } from '../producers/watch/stage.ts'

export const allStages: readonly AnyStage[] = [
  dimse,
  upload,
  dicomweb,
  watch,
  retrieve,
  simulator,
  infer,
  expectImages,
  assessStudy,
  replay,
  persist,
  report,
  deliver,
  notify,
  audit,
  syslog,
  gateway,
]
