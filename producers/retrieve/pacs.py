"""A PACS that is written with pynetdicom: has one made object in each transfer syntax, and answers C-FIND and C-GET of the Study Root.

Usage: pacs.py PORT SYNTAXES; prints what it has as JSON, and serves until it is ended.
"""
import json
import os
import sys
import time
from pathlib import Path

from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    MultiFrameTrueColorSecondaryCaptureImageStorage as TrueColour,
    SecondaryCaptureImageStorage as SC,
    StudyRootQueryRetrieveInformationModelFind as Find,
    StudyRootQueryRetrieveInformationModelGet as Get,
    UltrasoundMultiFrameImageStorage as Ultrasound,
    VideoEndoscopicImageStorage as Video,
)

port, syntaxes = int(sys.argv[1]), json.loads(sys.argv[2])
study, series = uid.generate_uid(), uid.generate_uid()
kept = []
for number, syntax in enumerate(syntaxes):
    ds = Dataset()
    is_video = '.4.10' in syntax
    # Classes enough that they do not all have room in one association.
    ds.SOPClassUID = (Video, Ultrasound, TrueColour)[number % 3] if is_video else SC
    ds.SOPInstanceUID, ds.StudyInstanceUID, ds.SeriesInstanceUID = uid.generate_uid(), study, series
    ds.PatientID, ds.PatientName, ds.Modality = 'P1', 'Canary^Retrieved', 'ES'
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, 'MONOCHROME2'
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 8, 8, 7, 0
    native = syntax in (uid.ImplicitVRLittleEndian, uid.ExplicitVRLittleEndian)
    ds.PixelData = os.urandom(256) if native else encapsulate([os.urandom(4096)])
    ds['PixelData'].VR = 'OB' if not native else 'OW'
    ds['PixelData'].is_undefined_length = not native
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
    kept.append(ds)


def matching(identifier):
    for ds in kept:
        wanted = identifier.get('SOPInstanceUID', '') or []
        wanted = [wanted] if isinstance(wanted, str) else list(wanted)
        if identifier.StudyInstanceUID == study and (not wanted or ds.SOPInstanceUID in wanted):
            yield ds


def find(event):
    asked = event.identifier
    of = list(matching(asked))
    for ds in of if asked.QueryRetrieveLevel == 'IMAGE' else of[:1]:
        answer = Dataset()
        answer.QueryRetrieveLevel = asked.QueryRetrieveLevel
        for element in asked:
            if element.keyword != 'QueryRetrieveLevel':
                setattr(answer, element.keyword, ds.get(element.keyword, ''))
        yield 0xFF00, answer


def get(event):
    of = list(matching(event.identifier))
    yield len(of)
    for ds in of:
        yield 0xFF00, ds


ae = AE(ae_title='PACS')
ae.add_supported_context(Find)
ae.add_supported_context(Get)
for abstract in {str(ds.SOPClassUID) for ds in kept}:
    ae.add_supported_context(abstract, syntaxes, scu_role=True, scp_role=True)
server = ae.start_server(('127.0.0.1', port), block=False, evt_handlers=[(evt.EVT_C_FIND, find), (evt.EVT_C_GET, get)])
print(json.dumps({'study': study, 'pixels': {ds.SOPInstanceUID: [str(ds.file_meta.TransferSyntaxUID), ds.PixelData.hex()] for ds in kept}}), flush=True)
while True:
    time.sleep(3600)
