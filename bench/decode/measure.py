"""Megapixels a second of CPU time that pydicom decodes of each file: python measure.py SECONDS FILE ...; null where it cannot."""

import json
import sys
import time

import pydicom
from pydicom.pixels import pixel_array


def speed(path: str, seconds: float) -> float | None:
    dataset = pydicom.dcmread(path)
    try:
        pixel_array(dataset, index=0)
    except Exception:  # whatever a plugin throws: it does not decode this one
        return None
    frames, begun, until = 0, time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < until:
        pixel_array(dataset, index=0)
        frames += 1
    return frames * dataset.Rows * dataset.Columns / 1e6 / (time.process_time() - begun)


print(json.dumps([speed(path, float(sys.argv[1])) for path in sys.argv[2:]]))
