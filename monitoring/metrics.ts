/**
 * Metrics, named raylog_<what>_<unit>, and _total where they only grow, after the Prometheus conventions; docs/metrics.md lists
 * them. Labels never carry ids, paths or people.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

const seconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30]

export type Metrics = ReturnType<typeof createMetrics>

export function createMetrics() {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry, prefix: 'raylog_', eventLoopMonitoringPrecision: 10 })
  const counter = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Counter({ name: `raylog_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, labelNames: L[], buckets = seconds) =>
    new Histogram({ name: `raylog_${name}`, help, labelNames, buckets, registers })
  const gauge = <L extends string>(name: string, help: string, labelNames: L[]) =>
    new Gauge({ name: `raylog_${name}`, help, labelNames, registers })
  return {
    registry,
    eventsIn: counter('events_in_total', 'events that a stage took from the log', ['stage', 'topic']),
    eventsOut: counter('events_out_total', 'events that a stage put on the log', ['stage', 'topic']),
    eventsRetried: counter('events_retried_total', 'attempts after the first', ['stage', 'code']),
    eventsParked: counter('events_parked_total', 'events that a stage gave up on', ['stage', 'code']),
    eventsMissed: counter('events_missed_total', 'events that retention removed before a stage had read them', [
      'stage',
      'topic',
    ]),
    handleSeconds: histogram('handle_seconds', 'time that a stage took for one event that it handled', ['stage']),
    lag: gauge('lag_events', 'events on the log that a stage has not committed', ['stage', 'topic']),
    received: counter('images_received_total', 'images accepted or refused, by producer', ['producer', 'outcome']),
    receivedBytes: counter('received_bytes_total', 'bytes of accepted images', ['producer']),
    connectionsDropped: counter(
      'connections_dropped_total',
      'connections to the DICOM port closed before they could associate',
      [],
    ),
    batchSize: histogram(
      'batch_size_images',
      'images in one run of a model',
      ['model'],
      [1, 2, 4, 8, 16, 32, 64, 128, 256],
    ),
    queueSeconds: histogram('queue_seconds', 'time that an image waited for a worker', ['model']),
    fetchSeconds: histogram('fetch_seconds', 'time to read the object', ['model']),
    decodeSeconds: histogram('decode_seconds', 'time to decode the pixels', ['model']),
    prepareSeconds: histogram('prepare_seconds', 'time to make the input of the model', ['model']),
    inferSeconds: histogram('infer_seconds', 'time of one run of a model', ['model']),
    workerRestarts: counter('worker_restarts_total', 'workers that died or hung and were replaced', ['pool', 'code']),
    deliveries: counter('deliveries_total', 'notifications by channel and reports by destination, by outcome', [
      'channel',
      'outcome',
    ]),
    liveClients: gauge('live_clients', 'dashboards connected', []),
    liveMessages: counter('live_messages_total', 'messages pushed to dashboards', ['room']),
  }
}
