"""Instances, predictions, studies and lines of the worklist as documents: what Raylog's `persist` makes of them."""

from __future__ import annotations

import hashlib

from pymongo import ReplaceOne


def derive(prefix: str, *parts: str | None) -> str:
    digest = hashlib.sha256()
    for part in parts:
        text = ("" if part is None else part).encode()
        digest.update(f"{len(text)}:".encode() + text)
    return f"{prefix}_{digest.hexdigest()[:32]}"


def study_of(known: dict | None, instance: dict) -> dict:
    """The study with this instance in it: the same again changes nothing (mergeStudy of consumers/persist/studies.ts)."""
    known = known or {}
    first, last = known.get("firstAt", instance["receivedAt"]), known.get("lastAt", instance["receivedAt"])
    return {
        "_id": instance["study"],
        "site": instance["site"],
        "studyUid": known.get("studyUid") or (instance["dicom"] or {}).get("study"),
        "patient": known.get("patient") or instance["patient"],
        "modality": known.get("modality") or instance["modality"],
        "bodyPart": known.get("bodyPart") or instance["bodyPart"],
        "firstAt": min(first, instance["receivedAt"]),
        "lastAt": max(last, instance["receivedAt"]),
    }


def line_of(instance: dict) -> dict:
    """A line of the worklist, of the first image of a study."""
    return {
        "_id": instance["study"],
        "version": 1,
        "site": instance["site"],
        "modality": instance["modality"],
        "patient": instance["patient"],
        "priority": instance["priority"],
        "rank": instance["receivedAt"],
        "state": "gathering",
        "firstAt": instance["receivedAt"],
        "revision": 0,
        "findings": [],
        "missing": 0,
        "expected": instance["studyInstances"],
    }


def replacing(documents: list[dict]) -> list[ReplaceOne]:
    return [ReplaceOne({"_id": document["_id"]}, document, upsert=True) for document in documents]


def stored(event: dict) -> dict:
    return {"_id": event["id"], **{key: value for key, value in event.items() if key != "id"}}
