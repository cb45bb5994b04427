"""The ordinary way to run a model over images that a broker announces: one Python process a core, in one consumer group.

It does for each instance what Raylog's `infer` and `persist` do: read the record (Avro, schema of the registry), get the
object from S3, hold it against its SHA-256, decode it, bring it to 8 bit as it is displayed, resize it with Pillow's bilinear
filter, run the model, write the prediction as a document and as a record, write the instance and its study as documents and,
of a study that is new, its line of the worklist, and commit after that.

Written to be fast: whatever waits is taken at once, all its objects are fetched side by side while the model runs (both
let go of the interpreter's lock), documents go in one bulk, records are flushed once, and there is one commit for all.

    python consumer.py '{"brokers": "127.0.0.1:9092", …}'
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import time
import urllib.request
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import onnxruntime as ort
import pydicom
from confluent_kafka import Consumer, Message, Producer
from fastavro import parse_schema, schemaless_reader, schemaless_writer
from minio import Minio
from PIL import Image
from pymongo import MongoClient
from pymongo.write_concern import WriteConcern

from documents import derive, line_of, replacing, stored, study_of

OPTIONS = json.loads(sys.argv[1])
MODEL = OPTIONS["model"]
#: Records taken at once, about as many as Raylog has in flight.
AT_ONCE = 64
#: Objects fetched side by side.
FETCHES = 8
LIKELIEST = 10


class Registry:
    """Schemas of a Confluent-compatible registry, each asked for once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.by_id: dict[int, dict] = {}

    def _get(self, path: str) -> dict:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return json.load(answer)

    def schema(self, schema_id: int) -> dict:
        if schema_id not in self.by_id:
            self.by_id[schema_id] = parse_schema(json.loads(self._get(f"/schemas/ids/{schema_id}")["schema"]))
        return self.by_id[schema_id]

    def latest(self, subject: str) -> tuple[int, dict]:
        found = self._get(f"/subjects/{subject}/versions/latest")
        return found["id"], parse_schema(json.loads(found["schema"]))


def open_session() -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(MODEL["weights"], options, providers=["CPUExecutionProvider"])


def to_display(image: pydicom.Dataset) -> np.ndarray:
    """Stored values to 8 bit, by a table of all stored values (PS3.3 C.11.2.1.2.1, LINEAR)."""
    stored = image.pixel_array
    low, high = int(stored.min()), int(stored.max())
    values = np.arange(low, high + 1, dtype=np.float32)
    values = values * float(image.get("RescaleSlope", 1)) + float(image.get("RescaleIntercept", 0))
    center, width = float(image.WindowCenter), float(image.WindowWidth)
    table = np.clip(((values - (center - 0.5)) / (width - 1) + 0.5) * 255, 0, 255)
    table = np.rint(table).astype(np.uint8)
    if image.PhotometricInterpretation == "MONOCHROME1":
        table = 255 - table
    return table[stored - low] if low else table[stored]


def prepare(body: bytes) -> np.ndarray:
    picture = Image.fromarray(to_display(pydicom.dcmread(io.BytesIO(body))))
    size = (MODEL["width"], MODEL["height"])
    if picture.size != size:
        picture = picture.resize(size, Image.Resampling.BILINEAR)
    plane = np.asarray(picture, dtype=np.float32) / np.float32(255)
    return np.broadcast_to(plane, (1, 3, *plane.shape)).copy()


def prediction_of(instance: dict, scores: np.ndarray, timings: dict) -> dict:
    if not np.isfinite(scores).all():
        raise ValueError("the model gave what is no number")
    best = np.argpartition(scores, -LIKELIEST)[-LIKELIEST:]
    label = int(scores.argmax())
    score = float(scores[label])
    model = {key: MODEL[key] for key in ("name", "version", "digest", "runtime")}
    return {
        "id": derive("pr", instance["id"], model["name"], model["version"], model["digest"], "production", None),
        "instance": instance["id"],
        "study": instance["study"],
        "site": instance["site"],
        "object": instance["object"]["key"],
        "modality": instance["modality"],
        "patient": instance["patient"],
        "model": model,
        "role": "production",
        "replay": None,
        "label": f"c{label}",
        "score": score,
        "threshold": None,
        "confidence": score,
        "probabilities": {f"c{at}": float(scores[at]) for at in best},
        "regions": [],
        "explanation": None,
        "quality": ["uncertain"] if score < 0.6 else [],
        "timings": timings,
        "receivedAt": instance["receivedAt"],
        "predictedAt": int(time.time() * 1000),
    }


class Worker:
    def __init__(self) -> None:
        self.stopping = False
        self.registry = Registry(OPTIONS["registry"])
        self.schema_id, self.schema = self.registry.latest(OPTIONS["subject"])
        s3 = OPTIONS["s3"]
        self.objects = Minio(
            s3["endpoint"], access_key=s3["accessKey"], secret_key=s3["secretKey"], region="us-east-1", secure=False
        )
        self.bucket = s3["bucket"]
        durable = WriteConcern(w="majority", j=True)
        self.documents = MongoClient(OPTIONS["mongo"], tz_aware=True).get_database(OPTIONS["database"], write_concern=durable)
        self.session = open_session()
        self.threads = ThreadPoolExecutor(FETCHES)
        self.producer = Producer(
            {"bootstrap.servers": OPTIONS["brokers"], "acks": "all", "enable.idempotence": True, "linger.ms": 0}
        )
        self.consumer = Consumer(
            {
                "bootstrap.servers": OPTIONS["brokers"],
                "group.id": "baseline",
                "enable.auto.commit": False,
                "auto.offset.reset": "earliest",
            }
        )

    def fetch(self, wanted: dict) -> bytes:
        answer = self.objects.get_object(self.bucket, wanted["key"])
        try:
            body = answer.read()
        finally:
            answer.close()
            answer.release_conn()
        if hashlib.sha256(body).hexdigest() != wanted["sha256"]:
            raise ValueError(f"{wanted['key']} does not have its digest")
        return body

    def decode(self, message: Message) -> dict:
        value = message.value()
        if value[0] != 0:
            raise ValueError("not in the wire format")
        return schemaless_reader(
            io.BytesIO(value[5:]), self.registry.schema(int.from_bytes(value[1:5], "big")), None
        )

    def encode(self, prediction: dict) -> bytes:
        out = io.BytesIO()
        out.write(b"\0" + self.schema_id.to_bytes(4, "big"))
        schemaless_writer(out, self.schema, prediction)
        return out.getvalue()

    def predict(self, instance: dict, fetched: Future[bytes]) -> dict:
        began = time.perf_counter()
        body = fetched.result()
        got = time.perf_counter()
        tensor = prepare(body)
        prepared = time.perf_counter()
        (output,) = self.session.run([MODEL["output"]], {MODEL["input"]: tensor})
        ended = time.perf_counter()
        timings = {
            "queueMs": 0.0,
            "fetchMs": (got - began) * 1000,
            "decodeMs": 0.0,
            "prepareMs": (prepared - got) * 1000,
            "inferMs": (ended - prepared) * 1000,
            "batch": 1,
        }
        return prediction_of(instance, output.reshape(-1), timings)

    def keep(self, instances: list[dict], predictions: list[dict]) -> None:
        """Records of a study come by one partition, so nobody else changes it between reading and writing."""
        wanted = list({instance["study"] for instance in instances})
        studies = {study["_id"]: study for study in self.documents.studies.find({"_id": {"$in": wanted}})}
        lines = {}
        for instance in instances:
            study = instance["study"]
            if study not in studies:
                lines[study] = line_of(instance)
            studies[study] = study_of(studies.get(study), instance)
        if lines:
            self.documents.worklist.bulk_write(replacing(list(lines.values())), ordered=False)
        self.documents.instances.bulk_write(replacing([stored(instance) for instance in instances]), ordered=False)
        self.documents.studies.bulk_write(replacing(list(studies.values())), ordered=False)
        self.documents.predictions.bulk_write(replacing([stored(each) for each in predictions]), ordered=False)

    def handle(self, messages: list[Message]) -> None:
        instances = [self.decode(message) for message in messages]
        fetched = [self.threads.submit(self.fetch, instance["object"]) for instance in instances]
        predictions = [self.predict(instance, body) for instance, body in zip(instances, fetched)]
        failures: list[object] = []
        for prediction in predictions:
            self.producer.produce(
                OPTIONS["into"],
                key=prediction["study"],
                value=self.encode(prediction),
                on_delivery=lambda error, _: failures.append(error) if error else None,
            )
            self.producer.poll(0)
        self.keep(instances, predictions)
        if self.producer.flush(30) or failures:
            raise RuntimeError(f"records were not written: {failures[:1]}")
        self.consumer.commit(asynchronous=False)

    def run(self) -> None:
        assigned = lambda _, partitions: print(json.dumps({"assigned": len(partitions)}), flush=True)
        self.consumer.subscribe([OPTIONS["from"]], on_assign=assigned)
        parent = os.getppid()
        while not self.stopping and os.getppid() == parent:
            # The first as soon as it is there, and with it whatever waits.
            first = self.consumer.poll(0.5)
            if first is None:
                continue
            messages = [first, *self.consumer.consume(AT_ONCE - 1, timeout=0)]
            broken = next((message.error() for message in messages if message.error()), None)
            if broken:
                raise RuntimeError(broken)
            self.handle(messages)
        self.consumer.close()


worker = Worker()


def stop(*_: object) -> None:
    worker.stopping = True


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGINT, stop)
worker.run()
