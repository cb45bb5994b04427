"""Writes dictionary.json, VR by tag, from pydicom's copy of PS3.6: needed for implicit VR, and for UN of public elements.

Usage: python make-dictionary.py > dictionary.json  (pydicom 3.0.1)
"""
import json
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary

by_vr = {}
for tag, (vr, *_rest) in sorted(DicomDictionary.items()):
    by_vr.setdefault(vr, []).append(f"{tag:08X}")
for mask, (vr, *_rest) in sorted(RepeatersDictionary.items()):
    by_vr.setdefault(vr, []).append(mask.upper().replace("X", "x"))
print("{")
print(",\n".join(f'  {json.dumps(vr)}: {json.dumps(" ".join(tags))}' for vr, tags in sorted(by_vr.items())))
print("}")
