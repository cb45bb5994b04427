/** Replays in one process. */
import { replayContract } from './replay-contract.ts'
import { startWithVersions } from './replay-kit.ts'

replayContract(startWithVersions)
