/**
 * What this adapter takes from kafkajs: the wire protocol, a connection with TLS and SASL, nothing above them. The types
 * are those of the pinned version; `guards.test.ts` fails when the installed one is not what is declared here.
 */
import { createRequire } from 'node:module'
import type { IHeaders, KafkaConfig } from 'kafkajs'

const require = createRequire(import.meta.url)

/** The version whose internals are declared here. */
export const pinned = '2.2.4'

/** A request and how its answer is read. `parse` throws the first error that the answer holds. */
export interface Exchange<Answer> {
  request: object
  response: { decode(raw: Buffer): Promise<Answer>; parse(answer: Answer): Promise<Answer> }
}

interface Definition<Asked, Answer> {
  versions: readonly string[]
  protocol(of: { version: number }): (asked: Asked) => Exchange<Answer>
}

export interface MetadataAnswer {
  brokers: { nodeId: number; host: string; port: number }[]
  controllerId: number
  topicMetadata: {
    topicErrorCode: number
    topic: string
    partitionMetadata: { partitionErrorCode: number; partitionId: number; leader: number; replicas: number[] }[]
  }[]
}

export interface RawRecord {
  key: Buffer | null
  value: Buffer | null
  timestamp: string
  offset: string
  headers?: IHeaders
  isControlRecord: boolean
  batchContext: { firstOffset: string; lastOffsetDelta: number }
}

export interface FetchedPartition {
  partition: number
  errorCode: number
  highWatermark: string
  abortedTransactions: object[] | null
  messages: RawRecord[]
}

export interface FetchAnswer {
  errorCode?: number
  responses: { topicName: string; partitions: FetchedPartition[] }[]
}

export interface ProduceMessage {
  key: string
  value: Buffer
  timestamp: string
  headers: Record<string, string>
}

export interface PerTopic<Partition> {
  topic: string
  partitions: Partition[]
}

interface GroupMember {
  memberId: string
  memberMetadata: Buffer
}

interface InGroup {
  groupId: string
  memberId: string
  groupInstanceId?: string
}

export interface Api {
  ApiVersions: [undefined, { apiVersions: { apiKey: number; minVersion: number; maxVersion: number }[] }]
  Metadata: [{ topics: readonly string[]; allowAutoTopicCreation: false }, MetadataAnswer]
  Produce: [
    {
      acks: -1
      timeout: number
      compression: 0
      producerId: string
      producerEpoch: number
      topicData: PerTopic<{ partition: number; firstSequence: number; messages: ProduceMessage[] }>[]
    },
    { topics: { topicName: string; partitions: { partition: number; errorCode: number; baseOffset: string }[] }[] },
  ]
  InitProducerId: [{ transactionTimeout: number }, { producerId: string; producerEpoch: number }]
  Fetch: [
    {
      maxWaitTime: number
      minBytes: number
      maxBytes: number
      topics: PerTopic<{ partition: number; fetchOffset: string; maxBytes: number }>[]
    },
    FetchAnswer,
  ]
  ListOffsets: [
    { replicaId: -1; isolationLevel: 1; topics: PerTopic<{ partition: number; timestamp: number }>[] },
    { responses: PerTopic<{ partition: number; errorCode: number; offset: string }>[] },
  ]
  GroupCoordinator: [{ groupId: string }, { coordinator: { nodeId: number; host: string; port: number } }]
  JoinGroup: [
    InGroup & {
      sessionTimeout: number
      rebalanceTimeout: number
      protocolType: string
      groupProtocols: { name: string; metadata: Buffer }[]
    },
    { generationId: number; leaderId: string; memberId: string; members: GroupMember[] },
  ]
  SyncGroup: [
    InGroup & { generationId: number; groupAssignment: { memberId: string; memberAssignment: Buffer }[] },
    { memberAssignment: Buffer },
  ]
  Heartbeat: [InGroup & { groupGenerationId: number }, object]
  LeaveGroup: [InGroup, object]
  OffsetCommit: [
    {
      groupId: string
      groupGenerationId: number
      memberId: string
      topics: PerTopic<{ partition: number; offset: string }>[]
    },
    object,
  ]
  OffsetFetch: [
    { groupId: string; topics: PerTopic<{ partition: number }>[] },
    { responses: PerTopic<{ partition: number; offset: string; errorCode: number }>[] },
  ]
  ListGroups: [undefined, { groups: { groupId: string; protocolType: string }[] }]
  CreateTopics: [
    {
      topics: {
        topic: string
        numPartitions: number
        replicationFactor: number
        configEntries: { name: string; value: string }[]
      }[]
      timeout: number
    },
    { topicErrors: { topic: string; errorCode: number; errorMessage: string | null }[] },
  ]
  CreatePartitions: [
    { topicPartitions: { topic: string; count: number }[]; timeout: number },
    { topicErrors: { topic: string; errorCode: number; errorMessage: string | null }[] },
  ]
  DescribeConfigs: [
    { resources: { type: 2; name: string }[]; includeSynonyms: false },
    {
      resources: {
        resourceName: string
        configEntries: { configName: string; configValue: string; configSource: number }[]
      }[]
    },
  ]
  AlterConfigs: [
    { resources: { type: 2; name: string; configEntries: { name: string; value: string }[] }[]; validateOnly: false },
    object,
  ]
}

export type ApiName = keyof Api
export type Versions = Record<number, { minVersion: number; maxVersion: number }>

export interface Connection {
  requestQueue: RequestQueue
  socket?: { destroy(): void }
  connect(): Promise<boolean>
  disconnect(): Promise<boolean>
  isConnected(): boolean
  isAuthenticated(): boolean
  authenticate(): Promise<void>
  setVersions(versions: Versions): void
  setSupportAuthenticationProtocol(isSupported: boolean): void
  rejectRequests(error: Error): void
  send<Answer>(exchange: Exchange<Answer>): Promise<Answer>
}

export interface RequestQueue {
  pending: unknown[]
  throttledUntil: number
  scheduleCheckPendingRequests(): void
}

/** kafkajs's logger: a function for each level, and namespaces. */
export interface Log {
  namespace(name: string): Log
}

export interface ConnectionOptions {
  host: string
  port: number
  clientId: string
  ssl: KafkaConfig['ssl'] | null
  sasl: KafkaConfig['sasl'] | null
  logger: Log
  socketFactory: object
  connectionTimeout: number
  requestTimeout: number
  enforceRequestTimeout: false
}

interface AssignerProtocol {
  MemberMetadata: {
    encode(of: { version: number; topics: readonly string[] }): Buffer
    decode(raw: Buffer): { topics: string[] }
  }
  MemberAssignment: {
    encode(of: { version: number; assignment: Record<string, number[]> }): Buffer
    decode(raw: Buffer): { assignment: Record<string, number[]> } | null
  }
}

export interface Kafkajs {
  version: string
  apiKeys: Record<ApiName, number>
  requests: { [Name in ApiName]: Definition<Api[Name][0], Api[Name][1]> }
  Connection: new (options: ConnectionOptions) => Connection
  RequestQueue: { prototype: RequestQueue }
  createSocketFactory: () => object
  createLogger: (options: { level: number; logCreator: () => (entry: LogEntry) => void }) => Log
  errorFromCode: (code: number) => Error
  Batch: new (topic: string, from: string, data: FetchedPartition) => { messages: RawRecord[] }
  assigners: AssignerProtocol
}

export interface LogEntry {
  namespace: string
  level: number
  log: { message: string }
}

/** Loaded when the adapter is opened, so that importing it costs and changes nothing. */
export function loadKafkajs(): Kafkajs {
  return {
    version: require('kafkajs/package.json').version,
    apiKeys: require('kafkajs/src/protocol/requests/apiKeys'),
    requests: require('kafkajs/src/protocol/requests').requests,
    Connection: require('kafkajs/src/network/connection'),
    RequestQueue: require('kafkajs/src/network/requestQueue'),
    createSocketFactory: require('kafkajs/src/network/socketFactory'),
    createLogger: require('kafkajs/src/loggers').createLogger,
    errorFromCode: require('kafkajs/src/protocol/error').createErrorFromCode,
    Batch: require('kafkajs/src/consumer/batch'),
    assigners: require('kafkajs/src/consumer/assignerProtocol'),
  }
}
