"""Reads objects of reports with pydicom and highdicom, and says as JSON what is in them. Usage: read-dicom.py FILE..."""

import json
import sys

import highdicom
import numpy as np
import pydicom
from highdicom.sr import srread


def algorithm_of(group):
    names = {}
    for item in group[0].ContentSequence:
        if item.RelationshipType == "HAS CONCEPT MOD" and item.ValueType == "TEXT":
            names.setdefault(item.ConceptNameCodeSequence[0].CodeMeaning, item.TextValue)
    return names


def group_of(group):
    return {
        "tracking": str(group.tracking_identifier),
        "finding": group.finding_type.meaning,
        "scheme": group.finding_type.scheme_designator,
        "code": group.finding_type.value,
        "certainty": [float(m.value) for m in group.get_measurements()],
        "algorithm": algorithm_of(group),
    }


def structured_report(path):
    report = srread(path)
    content = report.content
    return {
        "kind": type(report).__name__,
        "groups": [
            group_of(g) | {"sources": [str(i.referenced_sop_instance_uid) for i in g.source_images]}
            for g in content.get_image_measurement_groups()
        ],
        "regions": [
            group_of(g) | {"outline": g.roi.value.tolist()} for g in content.get_planar_roi_measurement_groups()
        ],
    }


def segmentation(path):
    seg = highdicom.seg.segread(path)
    described = [seg.get_segment_description(n) for n in seg.segment_numbers]
    sources = [uids[2] for uids in seg.get_source_image_uids()]
    return {
        "kind": type(seg).__name__,
        "segments": [[d.segment_label, d.segmented_property_type.meaning, d.algorithm_identification.name] for d in described],
        "sources": [str(uid) for uid in sources],
        "set": [np.argwhere(frame).tolist() for frame in seg.pixel_array.reshape(-1, seg.Rows, seg.Columns)],
        "affine": seg.get_volume().affine.tolist() if "FrameOfReferenceUID" in seg else None,
    }


def anything(path):
    dataset = pydicom.dcmread(path)
    for element in dataset.iterall():
        element.value
    shape = list(dataset.pixel_array.shape) if "PixelData" in dataset else None
    predecessors = [
        str(item.ReferencedSOPInstanceUID)
        for study in dataset.get("PredecessorDocumentsSequence", [])
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    ]
    return {
        "uid": str(dataset.SOPInstanceUID),
        "study": str(dataset.StudyInstanceUID),
        "name": str(dataset.PatientName),
        "patient": str(dataset.PatientID),
        "shape": shape,
        "predecessors": predecessors,
    }


def read(path):
    found = anything(path)
    modality = pydicom.dcmread(path, stop_before_pixels=True).Modality
    if modality == "SR":
        return found | structured_report(path)
    if modality == "SEG":
        return found | segmentation(path)
    return found


print(json.dumps([read(path) for path in sys.argv[1:]]))
