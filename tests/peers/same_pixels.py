"""Compares files as pydicom reads them: python same_pixels.py ORIGINAL RECEIVED ...; says as JSON what it saw of each pair."""

import json
import sys

import numpy
import pydicom


def compared(original: str, received: str) -> dict:
    a, b = pydicom.dcmread(original, force=True), pydicom.dcmread(received, force=True)
    one, other = a.pixel_array, b.pixel_array
    same_shape = one.shape == other.shape
    difference = numpy.abs(one.astype("int64") - other.astype("int64")).max() if same_shape else None
    lost = [e.keyword for e in a if e.tag.group != 0x7FE0 and e.tag.element != 0 and e.keyword not in b and e.keyword]
    return {
        "syntax": str(b.file_meta.TransferSyntaxUID),
        "difference": None if difference is None else int(difference),
        "lossy": str(b.get("LossyImageCompression", "")),
        "lost": [k for k in lost if k not in ("DataSetTrailingPadding",)],
    }


pairs = zip(sys.argv[1::2], sys.argv[2::2])
print(json.dumps([compared(*pair) for pair in pairs]))
