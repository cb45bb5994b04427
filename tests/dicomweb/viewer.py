"""Works like a viewer of a study of many frames, with dicomweb-client; says as JSON what it saw.

Usage: python viewer.py URL TOKEN FILE...; the files are of one study and one series.
"""
import email
import io
import json
import sys

import pydicom
import requests
from dicomweb_client.api import DICOMwebClient
from PIL import Image
from pydicom.encaps import encapsulate, generate_frames

url, token, *paths = sys.argv[1:]


def client_with(token):
    session = requests.Session()
    session.headers.update({"Authorization": f"Bearer {token}"})
    return DICOMwebClient(url=url, session=session)


def status_of(work):
    try:
        work()
        return 200
    except requests.HTTPError as error:
        return error.response.status_code


client = client_with(token)
datasets = [pydicom.dcmread(path) for path in paths]
study, series = datasets[0].StudyInstanceUID, datasets[0].SeriesInstanceUID
sops = sorted(ds.SOPInstanceUID for ds in datasets)
said = {}

# One that is refused keeps none of the others back.
without = pydicom.dcmread(paths[0])
without.SOPInstanceUID = without.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
del without.SeriesInstanceUID
answer = client.store_instances([*datasets, without])
said["stored"] = len(answer.ReferencedSOPSequence)
said["refused"] = [[item.FailureReason, item.ReferencedSOPInstanceUID == without.SOPInstanceUID] for item in answer.FailedSOPSequence]
said["of another study"] = status_of(lambda: client.store_instances(datasets[:1], study_instance_uid="1.2.3"))
said["without the token"] = status_of(lambda: client_with("nobody's").search_for_studies())
said["unknown"] = [
    status_of(lambda: client.retrieve_study("1.2.3")),
    status_of(lambda: client.retrieve_instance_metadata(study, series, "1.2.3")),
    status_of(lambda: client.retrieve_instance_frames(study, series, sops[0], [999])),
]

# Search, page by page
uid_of = lambda item: item["00080018"]["Value"][0]
pages = [[uid_of(one) for one in client.search_for_instances(study, limit=2, offset=at)] for at in range(0, len(sops), 2)]
said["pages"] = [len(page) for page in pages] == [2] * (len(sops) // 2) + [1] * (len(sops) % 2)
said["all pages"] = sorted(sum(pages, [])) == sops
said["remaining"] = sorted(uid_of(one) for one in client.search_for_instances(study, limit=2, get_remaining=True)) == sops
said["fields"] = [
    "00100040" in client.search_for_studies()[0],
    "00080080" in client.search_for_series()[0],
    "00080080" in client.search_for_series(fields=["InstitutionName"])[0],
]
by_name = lambda name, **how: len(client.search_for_studies(search_filters={"PatientName": name}, **how))
said["names"] = [by_name("Canary*"), by_name("CANARY^PATIENT"), by_name("Canari"), by_name("Canary*", fuzzymatching=True)]

# Retrieve by study and series
as_stored = (("application/dicom", "*"),)
said["series"] = sorted(ds.SOPInstanceUID for ds in client.retrieve_series(study, series, media_types=as_stored)) == sops
said["study, one by one"] = sorted(ds.SOPInstanceUID for ds in client.iter_study(study, media_types=as_stored)) == sops
said["metadata"] = [
    sorted(map(uid_of, client.retrieve_study_metadata(study))) == sops,
    sorted(map(uid_of, client.retrieve_series_metadata(study, series))) == sops,
]

types = {
    pydicom.uid.RLELossless: "image/dicom-rle",
    pydicom.uid.JPEGLSLossless: "image/jls",
    pydicom.uid.JPEG2000Lossless: "image/jp2",
}
said["frames"] = {}
for path, ds in zip(paths, datasets):
    uids, syntax, count = (study, series, ds.SOPInstanceUID), ds.file_meta.TransferSyntaxUID, int(ds.get("NumberOfFrames", 1))
    name = path.rsplit("/", 1)[-1]
    wanted = [count, 1]
    if syntax in types:
        frames = client.retrieve_instance_frames(*uids, wanted, media_types=((types[syntax], syntax),))
        stored = list(generate_frames(ds.PixelData, number_of_frames=count))
        said["frames"][name] = [stored[number - 1] for number in wanted] == frames
    else:
        frames = client.retrieve_instance_frames(*uids, wanted)
        size = len(ds.PixelData) // count
        said["frames"][name] = [ds.PixelData[size * (number - 1):size * number] for number in wanted] == frames
        where = client.retrieve_instance_metadata(*uids)["7FE00010"]["BulkDataURI"]
        # The client leaves the port out of its Host header, so the address that it is told has none either.
        where = url + where.split("/dicomweb", 1)[1]
        said["range"] = client.retrieve_bulkdata(where, byte_range=(4, 19)) == [ds.PixelData[4:20]]
        said["range to the end"] = client.retrieve_bulkdata(where, byte_range=(100,)) == [ds.PixelData[100:]]
        said["in pieces"] = b"".join(client.iter_bulkdata(where)) == ds.PixelData
    small = client.retrieve_instance_frames_rendered(*uids, [count], media_types=("image/png",), params={"viewport": "12,12"})
    said.setdefault("viewport", []).append(max(Image.open(io.BytesIO(small)).size))

uids = (study, series, datasets[0].SOPInstanceUID)
bright = client.retrieve_instance_rendered(*uids, media_types=("image/png",), params={"window": "-5000,10,linear"})
dark = client.retrieve_instance_rendered(*uids, media_types=("image/png",), params={"window": "90000,10,linear"})
by_function = lambda window: client.retrieve_instance_rendered(*uids, media_types=("image/png",), params={"window": window})
said["functions"] = [by_function(f"5000,9000,{name}") != by_function("5000,9000,sigmoid") for name in ("linear", "linear-exact")]
said["window"] = [Image.open(io.BytesIO(picture)).convert("L").getextrema() for picture in (bright, dark)]
said["jpeg"] = client.retrieve_instance_rendered(*uids, media_types=("image/jpeg",), params={"quality": 50})[:2] == b"\xff\xd8"

answer = requests.get(
    f"{url}/studies/{study}/series/{series}/rendered",
    params={"viewport": "12,12"},
    headers={"Authorization": f"Bearer {token}", "Accept": 'multipart/related; type="image/png"'},
)
parts = email.message_from_bytes(b"Content-Type: " + answer.headers["Content-Type"].encode() + b"\r\n\r\n" + answer.content)
said["pictures"] = {
    part["Content-Location"].split("/")[-2]: max(Image.open(io.BytesIO(part.get_payload(decode=True))).size)
    for part in parts.walk() if part.get_content_type() == "image/png"
} == {dataset.SOPInstanceUID: 12 for dataset in datasets}

# A video is one stream, whatever number of frames is in it.
said["video"] = {}
for syntax, type in (("1.2.840.10008.1.2.4.102", "video/mp4"), ("1.2.840.10008.1.2.4.106", "video/mp4")):
    video = pydicom.dcmread(paths[0])
    video.SOPClassUID = video.file_meta.MediaStorageSOPClassUID = pydicom.uid.VideoEndoscopicImageStorage
    video.StudyInstanceUID, video.SeriesInstanceUID, video.SOPInstanceUID = (pydicom.uid.generate_uid() for _ in range(3))
    video.file_meta.MediaStorageSOPInstanceUID = video.SOPInstanceUID
    video.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    video.NumberOfFrames = 240
    stream = bytes(range(256)) * 40
    video.PixelData = encapsulate([stream], fragments_per_frame=5)
    video["PixelData"].VR, video["PixelData"].is_undefined_length = "OB", True
    client.store_instances([video])
    uids = (video.StudyInstanceUID, video.SeriesInstanceUID, video.SOPInstanceUID)
    where = client.retrieve_instance_metadata(*uids)["7FE00010"]["BulkDataURI"]
    media = ((type, syntax),)
    said["video"][syntax] = [
        client.retrieve_bulkdata(url + where.split("/dicomweb", 1)[1], media_types=media) == [stream],
        client.retrieve_instance(*uids, media_types=as_stored).PixelData == video.PixelData,
    ]
print(json.dumps(said))
