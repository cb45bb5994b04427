/** Pulls studies from peers, by DIMSE or DICOMweb, when they are asked for (POST /api/v1/retrievals). */
import { randomUUID } from 'node:crypto'
import { hostname } from 'node:os'
import { z } from 'zod'
import { createAuditTrail } from '../../kafka/audit-trail.ts'
import { defineStage } from '../../kafka/stage.ts'
import { ownName } from '../../schemas/audit.ts'
import { RaylogError } from '../../schemas/errors.ts'
import { ids } from '../../schemas/ids.ts'
import { aeTitle, type Peer } from '../../schemas/peers.ts'
import type { RetrievalDoc } from '../../schemas/retrieval.ts'
import { topics } from '../../schemas/topics.ts'
import { createIntake } from '../intake.ts'
import { dicomSource } from './dicom.ts'
import { openDispatcher } from './dispatcher.ts'
import { auditedSource } from './queries.ts'
import type { RunContext } from './run.ts'
import { webSource } from './web.ts'

const retrieveConfig = z.strictObject({
  aeTitle: aeTitle.default('RAYLOG').describe('what we call ourselves, and where C-MOVE is to send: that of dimse'),
  jobs: z.int().min(1).max(64).default(2).describe('retrievals that this process works on at once'),
  atOnce: z.int().min(1).max(1_000).default(50).describe('images asked for in one request'),
  maxBytes: z
    .int()
    .min(1)
    .default(4 * 1024 ** 3)
    .describe('one image, bytes'),
  waitMs: z.int().min(0).max(60_000).default(10_000).describe('an image waits so long for a place, ms'),
  associateMs: z.int().min(100).max(600_000).default(30_000).describe('for a connection and an association, ms'),
  answerMs: z.int().min(100).max(3_600_000).default(120_000).describe('for an answer, ms'),
  beatMs: z
    .int()
    .min(50)
    .max(60_000)
    .default(1_000)
    .describe('between two signs of life, looks for work, and saves, ms'),
  leaseMs: z
    .int()
    .min(1_000)
    .max(600_000)
    .default(10_000)
    .describe('without a sign of life for so long, another process takes the retrieval over, ms'),
  retries: z.int().min(0).max(100).default(4).describe('attempts after the first, for errors that may pass'),
})

const webHostOf = ({ dicomweb }: Peer) => (dicomweb ? new URL(dicomweb.url).hostname : undefined)

/** Between two attempts at a peer that is away, and two looks at the clock, ms. */
const longestWaitMs = 60_000

export const retrieve = defineStage({
  name: 'retrieve',
  role: 'producer',
  summary: 'pulls studies from peers, by DIMSE or DICOMweb',
  reads: [],
  writes: [topics.instances, topics.audit],
  needs: ['objects', 'images', 'secrets', 'metrics', 'documents'],
  config: retrieveConfig,
  async open({ config, deps, publish, logger, site, clock, network, signal }) {
    const { jobs, waitMs, maxBytes, leaseMs } = config
    const intake = createIntake({ producer: 'retrieve', site, clock, deps, publish, limit: jobs, waitMs, maxBytes })
    const trail = createAuditTrail({ publish, clock, logger, randomId: randomUUID })
    const find = ({ peer: name }: RetrievalDoc) => network.peers.find(peer => peer.name === name)
    function peerOf(retrieval: RetrievalDoc) {
      const peer = find(retrieval)
      if (peer) return peer
      throw new RaylogError('config-invalid', `there is no peer ${retrieval.peer} in the settings`)
    }

    const run: RunContext = {
      ...{ deps, clock, logger, random: Math.random, settings: { ...config, longestWaitMs } },
      sourceOf(retrieval) {
        const peer = peerOf(retrieval)
        const { how } = retrieval
        const { name, aeTitle: called, host } = peer
        if (how === 'dicomweb' || (how === 'auto' && called === null)) {
          const detail = { peer: name, destination: name, destinationAddress: webHostOf(peer) }
          return auditedSource(webSource({ peer, ...config }), trail, { actor: ownName, detail })
        }
        const source = dicomSource({ ...config, peer, how, dicomTls: network.dicomTls, calling: config.aeTitle })
        const detail = { peer: name, destination: called ?? name, destinationAddress: host ?? undefined }
        return auditedSource(source, trail, { actor: config.aeTitle, detail })
      },
      siteOf: retrieval => peerOf(retrieval).site ?? site,
      keep(retrieval, file, expect) {
        const peer = peerOf(retrieval)
        return intake.receive(file, {
          source: { kind: 'retrieve', peer: peer.name },
          ...(expect ? { expect } : {}),
          ...{ site: peer.site ?? undefined, priority: retrieval.priority, requested: peer.models },
        })
      },
      came(retrieval, study, images) {
        const peer = peerOf(retrieval)
        const address = peer.host ?? webHostOf(peer) ?? ''
        trail.tell({
          ...{ action: 'instances-received', actor: peer.aeTitle ?? peer.name, outcome: 'success', address },
          object: ids.study(peer.site ?? site, study),
          detail: { study, peer: peer.name, count: String(images), reason: `retrieval ${retrieval.id}` },
        })
      },
    }
    const knows = (retrieval: RetrievalDoc) => find(retrieval) !== undefined
    const close = openDispatcher({ run, owner: `${hostname()}/${randomUUID()}`, leaseMs, jobs, knows })
    return {
      async drain() {
        await close()
        await trail.flush(signal)
      },
      close,
    }
  },
})
