"""Stores, searches and retrieves files with dicomweb-client; says as JSON what it saw.

Usage: python client.py URL TOKEN FILE...
"""
import hashlib
import io
import json
import sys

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient

url, token, *paths = sys.argv[1:]
session = requests.Session()
session.headers.update({"Authorization": f"Bearer {token}"})
client = DICOMwebClient(url=url, session=session)
datasets = [pydicom.dcmread(path) for path in paths]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def written(dataset):
    buffer = io.BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


answer = client.store_instances(datasets)
seen = {"stored": len(answer.ReferencedSOPSequence), "files": []}
for path, dataset in zip(paths, datasets):
    uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID)
    studies = client.search_for_studies(search_filters={"StudyInstanceUID": uids[0]})
    by_patient = client.search_for_studies(search_filters={"PatientID": str(dataset.get("PatientID", ""))})
    series = client.search_for_series(study_instance_uid=uids[0])
    instances = client.search_for_instances(study_instance_uid=uids[0], series_instance_uid=uids[1])
    whole = client.retrieve_instance(*uids, media_types=(("application/dicom", "*"),))
    of_study = client.retrieve_study(uids[0], media_types=(("application/dicom", "*"),))
    metadata = pydicom.Dataset.from_json(client.retrieve_instance_metadata(*uids))
    entry = {
        "studies": len(studies),
        "patient": any(s["0020000D"]["Value"][0] == uids[0] for s in by_patient),
        "series": [s["0020000E"]["Value"][0] for s in series] == [uids[1]],
        "instances": uids[2] in [i["00080018"]["Value"][0] for i in instances],
        "same": written(whole) == written(dataset) and any(d.SOPInstanceUID == uids[2] for d in of_study),
        "name": str(metadata.get("PatientName", "")) == str(dataset.get("PatientName", "")),
        "sop": metadata.SOPInstanceUID == uids[2],
    }
    explicit = pydicom.uid.ExplicitVRLittleEndian
    plain = client.retrieve_instance(*uids, media_types=(("application/dicom", explicit),))
    entry["plain"] = plain.file_meta.TransferSyntaxUID == explicit and plain.SOPInstanceUID == uids[2]
    entry["elements"] = {e.tag for e in dataset if e.tag.group not in (0x7FE0, 0xFFFC) and e.tag.element} <= {e.tag for e in plain}
    # Other compressed pixels need decoders that pydicom does not bring along.
    decodable = not dataset.file_meta.TransferSyntaxUID.is_compressed or dataset.file_meta.TransferSyntaxUID == pydicom.uid.RLELossless
    if "PixelData" in dataset and "NumberOfFrames" not in dataset and decodable:
        frames = client.retrieve_instance_frames(*uids, frame_numbers=[1])
        decoded = dataset.pixel_array
        entry["plain pixels"] = bool((plain.pixel_array == decoded).all())
        # As they are stored: pydicom's array has the bits above Bits Stored filled up with the sign.
        little = dataset.file_meta.TransferSyntaxUID.is_little_endian and not dataset.file_meta.TransferSyntaxUID.is_compressed
        expected = dataset.PixelData[:decoded.nbytes] if little else decoded.astype(decoded.dtype.newbyteorder("<")).tobytes()
        entry["pixels"] = frames[0] == expected
        picture = client.retrieve_instance_rendered(*uids, media_types=("image/png",))
        entry["rendered"] = picture[:4] == b"\x89PNG"
        if not dataset.file_meta.TransferSyntaxUID.is_compressed:
            # The client leaves the port out of its Host header, so the address that it is told has none either.
            address = client.retrieve_instance_metadata(*uids)["7FE00010"]["BulkDataURI"]
            bulk = client.retrieve_bulkdata(url + address.split("/dicomweb", 1)[1])
            # Little endian, whatever the file is in (PS3.18 8.7.3.5.1).
            plain_bulk = dataset.PixelData if little else plain.PixelData
            entry["bulk"] = bulk[0] == plain_bulk
    seen["files"].append(entry)
print(json.dumps(seen))
