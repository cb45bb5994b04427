"""Asks a node for what it keeps, with pynetdicom: C-FIND, C-GET, C-MOVE and storage commitment. Prints what it got as JSON."""
import json
import sys
import threading

from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation as DX,
    PatientRootQueryRetrieveInformationModelFind as PatientFind,
    PatientRootQueryRetrieveInformationModelGet as PatientGet,
    StorageCommitmentPushModel as Commitment,
    StudyRootQueryRetrieveInformationModelFind as Find,
    StudyRootQueryRetrieveInformationModelGet as Get,
    StudyRootQueryRetrieveInformationModelMove as Move,
)

port, listen, study, (instance, second, third) = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:]
said = {}


def identifier(level, **keys):
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for name, value in keys.items():
        setattr(ds, name, value)
    return ds


# C-FIND in both models
ae = AE(ae_title='PYNET')
for model in (Find, PatientFind):
    ae.add_requested_context(model)
assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG')
found = list(assoc.send_c_find(identifier('STUDY', StudyInstanceUID='', PatientName='Demo*', NumberOfStudyRelatedInstances=''), Find))
said['studies'] = sorted([str(ds.StudyInstanceUID), int(ds.NumberOfStudyRelatedInstances)] for _, ds in found if ds)
said['findStatuses'] = [status.Status for status, _ in found]
patients = list(assoc.send_c_find(identifier('PATIENT', PatientID='DEMO-*', PatientName=''), PatientFind))
said['patients'] = sorted(str(ds.PatientID) for _, ds in patients if ds)

# Level by level, with what was found above as keys
said['found'] = {}
series_of = {}
for model, mark in ((PatientFind, ''), (Find, '2')):
    for level, unique in (('PATIENT', 'PatientID'), ('STUDY', 'StudyInstanceUID'), ('SERIES', 'SeriesInstanceUID'), ('IMAGE', 'SOPInstanceUID')):
        if (model, level) == (Find, 'PATIENT'):
            continue
        keys = {'PatientID': 'DEMO-00000001', 'StudyInstanceUID': study} if level in ('SERIES', 'IMAGE') else {'PatientID': 'DEMO-00000001'}
        found = [ds for _, ds in assoc.send_c_find(identifier(level, **{**keys, 'SeriesInstanceUID': '', unique: keys.get(unique, '')}), model) if ds]
        said['found'][level + mark] = len({str(ds[unique].value) for ds in found})
        for ds in found:
            if level == 'IMAGE':
                series_of[str(ds.SOPInstanceUID)] = str(ds.SeriesInstanceUID)
assoc.release()

# C-GET: the images come on the same association
got = []


def stored(event):
    ds = event.dataset
    got.append([str(ds.SOPInstanceUID), len(ds.PixelData)])
    return 0


ae = AE(ae_title='PYNET')
ae.add_requested_context(Get)
ae.add_requested_context(DX, ExplicitVRLittleEndian)
assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG', ext_neg=[build_role(DX, scp_role=True)], evt_handlers=[(evt.EVT_C_STORE, stored)])
said['getStatuses'] = [status.Status for status, _ in assoc.send_c_get(identifier('STUDY', StudyInstanceUID=study), Get)]
said['got'] = sorted(got)
assoc.release()


def get(model, level, handler=stored, **keys):
    ae = AE(ae_title='PYNET')
    ae.add_requested_context(model)
    ae.add_requested_context(DX, ExplicitVRLittleEndian)
    handlers = [(evt.EVT_C_STORE, handler)]
    assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG', ext_neg=[build_role(DX, scp_role=True)], evt_handlers=handlers)
    got.clear()
    last = list(assoc.send_c_get(identifier(level, **keys), model, msg_id=7))[-1][0]
    assoc.release()
    return sorted(uid for uid, _ in got), last


said['series'], _ = get(Get, 'SERIES', StudyInstanceUID=study, SeriesInstanceUID=series_of[second])
said['image'], _ = get(Get, 'IMAGE', StudyInstanceUID=study, SeriesInstanceUID=series_of[third], SOPInstanceUID=third)
said['patient'], _ = get(PatientGet, 'PATIENT', PatientID='DEMO-00000001')


# Enough after the first
def enough(event):
    event.assoc.send_c_cancel(7, query_model=Get)
    return stored(event)


some, last = get(Get, 'STUDY', enough, StudyInstanceUID=study)
said['cancelled'] = [last.Status, len(some), last.NumberOfRemainingSuboperations]

# C-MOVE to ourselves
moved = []


def came(event):
    moved.append(str(event.request.AffectedSOPInstanceUID))
    return 0


ae = AE(ae_title='PYNET')
ae.add_supported_context(DX, ExplicitVRLittleEndian)
ae.add_supported_context(Commitment, scu_role=False, scp_role=True)
reports = []
told = threading.Event()


def reported(event):
    information = event.event_information
    reports.append([event.event_type, str(information.TransactionUID), len(information.get('ReferencedSOPSequence', [])), len(information.get('FailedSOPSequence', []))])
    told.set()
    return 0, None


server = ae.start_server(('127.0.0.1', listen), block=False, evt_handlers=[(evt.EVT_C_STORE, came), (evt.EVT_N_EVENT_REPORT, reported)])
ae.add_requested_context(Move)
ae.add_requested_context(Commitment)
assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG')
said['moveStatuses'] = [status.Status for status, _ in assoc.send_c_move(identifier('STUDY', StudyInstanceUID=study), 'PYNET', Move)]
said['moved'] = sorted(moved)
moved.clear()
list(assoc.send_c_move(identifier('SERIES', StudyInstanceUID=study, SeriesInstanceUID=series_of[second]), 'PYNET', Move))
said['movedSeries'] = sorted(moved)
assoc.release()


def references(*uids):
    ds = Dataset()
    ds.TransactionUID = generate_uid()
    ds.ReferencedSOPSequence = []
    for uid in uids:
        item = Dataset()
        item.ReferencedSOPClassUID = DX
        item.ReferencedSOPInstanceUID = uid
        ds.ReferencedSOPSequence.append(item)
    return ds


# Storage commitment, told on an association of the node's
assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG')
status, _ = assoc.send_n_action(references(instance, '1.2.3'), 1, Commitment, '1.2.840.10008.1.20.1.1')
assoc.release()
told.wait(30)
said['actionStatus'] = status.Status
said['reports'] = [[kind, kept, failed] for kind, _, kept, failed in reports]

# and on the same one
reports.clear()
told.clear()
same = AE(ae_title='PYNET')
same.add_requested_context(Commitment)
assoc = same.associate('127.0.0.1', port, ae_title='RAYLOG', evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported)])
assoc.send_n_action(references(instance), 1, Commitment, '1.2.840.10008.1.20.1.1')
told.wait(30)
said['sameAssociation'] = [[kind, kept, failed] for kind, _, kept, failed in reports]
assoc.release()
server.shutdown()
print(json.dumps(said))
