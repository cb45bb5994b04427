"""Writes what pydicom's Dataset.to_json says of each DICOM file of a folder: the reference of tests/dicomweb/peers.slow.test.ts.

Usage: python reference.py FOLDER > reference.json  (pydicom 3.0.1)
Binary values above 4,096 bytes, and pixels, are given as their tag alone.
"""
import json
import sys
from pathlib import Path

import pydicom

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
binary = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
words = {"OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2}


def swapped(value, size):
    return b"".join(value[at:at + size][::-1] for at in range(0, len(value), size))


def walk(dataset, little, top=True):
    """
    As to_json_dict, but an element that pydicom cannot convert says so instead of ending all, and words are little endian
    whatever the file is in, as everything in JSON is (PS3.18 F.2.7 with PS3.19 A.1.5): pydicom gives them as they stand.
    """
    out = {}
    for element in dataset:
        tag = f"{element.tag.group:04X}{element.tag.element:04X}"
        if element.VR == "SQ":
            items = [walk(item, little, False) for item in element.value]
            out[tag] = {"vr": "SQ", **({"Value": items} if items else {})}
            continue
        if element.VR in binary and element.value is not None:
            if (top and tag in ("7FE00010", "7FE00008", "7FE00009")) or len(element.value) > 4096:
                out[tag] = {"vr": element.VR, "BulkDataURI": tag}
                continue
            if not little and element.VR in words:
                element.value = swapped(element.value, words[element.VR])
        try:
            out[tag] = element.to_json_dict(None, 1 << 30)
        except Exception as error:  # noqa: BLE001
            out[tag] = {"vr": element.VR, "fault": str(error)}
    return out


result = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        dataset = pydicom.dcmread(path)
        dataset.decode()
        result[path.name] = walk(dataset, dataset.original_encoding[1])
    except Exception as error:  # noqa: BLE001
        result[path.name] = {"fault": f"{type(error).__name__}: {error}"}
json.dump(result, sys.stdout, ensure_ascii=False)
