"""A modality that is written with pynetdicom: it sends, breaks off, calls many times at once, and tells of its procedure steps.

Usage: pynetdicom_modality.py WHAT PORT [ARGUMENT...]; prints what the node answered as JSON.
"""
import json
import os
import sys
import threading
from pathlib import Path

from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pynetdicom import AE, _config, evt
from pynetdicom.pdu import A_ASSOCIATE_RJ
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.sop_class import (
    DigitalXRayImageStorageForPresentation as DX,
    ModalityPerformedProcedureStep as MPPS,
    SecondaryCaptureImageStorage as SC,
    Verification,
    VideoEndoscopicImageStorage as Video,
)

# Data sets go out as they stand in the file.
_config.STORE_SEND_CHUNKED_DATASET = True


def called(port, *contexts, title='RAYLOG', calling='CT1', patience=60, heard=None):
    ae = AE(ae_title=calling)
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = patience
    for abstract, *syntaxes in contexts:
        ae.add_requested_context(abstract, syntaxes or None)
    handlers = [] if heard is None else [(evt.EVT_PDU_RECV, lambda event: heard.append(event.pdu))]
    return ae.associate('127.0.0.1', port, ae_title=title, evt_handlers=handlers)


def rejection(heard):
    """Result, source and reason as they came. An association that is answered within a millisecond takes a rejection for a
    failure to connect (ACSE._negotiate_as_requestor looks at the socket too late), so it is not asked."""
    return next(([pdu.result, pdu.source, pdu.reason_diagnostic] for pdu in heard if isinstance(pdu, A_ASSOCIATE_RJ)), None)


def image_of(syntax, abstract=SC):
    """An object of one small frame; what is encapsulated is no picture, since nobody looks when it is stored."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = abstract, uid.generate_uid()
    ds.StudyInstanceUID, ds.SeriesInstanceUID = uid.generate_uid(), uid.generate_uid()
    ds.PatientID, ds.Modality = 'P1', 'OT'
    ds.Rows = ds.Columns = 16
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, 'MONOCHROME2'
    ds.BitsAllocated = ds.BitsStored = 8
    ds.HighBit, ds.PixelRepresentation = 7, 0
    native = syntax == uid.ExplicitVRLittleEndian
    # Three fragments of one frame, as streams of video have.
    fragments = [os.urandom(4096) for _ in range(3)]
    ds.PixelData = os.urandom(256) if native else encapsulate([b''.join(fragments)], fragments_per_frame=3)
    ds['PixelData'].VR = 'OB'
    ds['PixelData'].is_undefined_length = not native
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
    return ds


def syntaxes(port, folder, listed):
    """Sends one object in each transfer syntax: those of LISTED that name a file as it is, a made one of the others."""
    answers = []
    for number, (syntax, file) in enumerate(json.loads(listed)):
        if file is None:
            file = str(Path(folder) / f'{number}.dcm')
            image_of(syntax, Video).save_as(file, enforce_file_format=True, implicit_vr=False, little_endian=True)
        assoc = called(port, (dcmread(file, stop_before_pixels=True).SOPClassUID, syntax))
        status = assoc.send_c_store(file).Status if assoc.is_established else None
        answers.append({'syntax': syntax, 'file': file, 'status': status})
        assoc.release()
    return answers


def every(port):
    """How many storage SOP classes pynetdicom knows, and which of them are not accepted."""
    known = [context.abstract_syntax for context in AllStoragePresentationContexts]
    refused = []
    for at in range(0, len(known), 128):
        assoc = called(port, *((one, uid.ImplicitVRLittleEndian) for one in known[at:at + 128]))
        refused += [str(context.abstract_syntax) for context in assoc.rejected_contexts]
        assoc.release()
    return {'known': len(known), 'refused': refused}


def classes(port, *uids):
    """Which of the SOP classes are accepted, and what becomes of an image of each that is."""
    assoc = called(port, *((one, uid.ExplicitVRLittleEndian) for one in uids))
    accepted = {str(context.abstract_syntax) for context in assoc.accepted_contexts}
    refused = {str(context.abstract_syntax): context.result for context in assoc.rejected_contexts}
    answers = {}
    for one in uids:
        ds = image_of(uid.ExplicitVRLittleEndian, one)
        answers[one] = assoc.send_c_store(ds).Status if one in accepted else f'refused {refused[one]}'
    assoc.release()
    return answers


def order(port, first, second):
    """The transfer syntax of each context, where one proposes FIRST before SECOND and the other SECOND before FIRST."""
    assoc = called(port, (SC, first, second), (DX, second, first))
    accepted = {context.abstract_syntax: [str(one) for one in context.transfer_syntax] for context in assoc.accepted_contexts}
    assoc.release()
    return [accepted.get(SC), accepted.get(DX)]


def rejected(port, calling, title):
    """Result, source and reason of the rejection, while another association is open where there is room for one."""
    heard = []
    assoc = called(port, (Verification,), title=title, calling=calling, heard=heard)
    if assoc.is_established:
        assoc.release()
    return rejection(heard)


def crowded(port, count):
    """Associations until one is rejected, each kept open; then one gives its place back."""
    held = [called(port, (Verification,)) for _ in range(int(count))]
    heard = []
    called(port, (Verification,), heard=heard)
    held.pop().release()
    again = called(port, (Verification,))
    works = again.is_established and again.send_c_echo().Status
    for assoc in [*held, again]:
        assoc.release()
    return {'rejected': rejection(heard), 'afterwards': works}


def together(port, count, *files):
    """COUNT associations, all of them open before the first sends; each sends one of the files."""
    ready = threading.Barrier(int(count), timeout=200)
    statuses = []

    def one(number):
        file = files[number % len(files)]
        assoc = called(port, (DX, uid.ExplicitVRLittleEndian), calling=f'CT{number}', patience=180)
        ready.wait()
        statuses.append(assoc.send_c_store(file).Status if assoc.is_established else None)
        assoc.release()

    threads = [threading.Thread(target=one, args=(number,)) for number in range(int(count))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {str(status): statuses.count(status) for status in set(statuses)}


def broken(port, file):
    """Aborts in the middle of an object, vanishes in the middle of another, and sends it whole at last."""
    told = {}
    for how in ('abort', 'vanish'):
        assoc = called(port, (DX, uid.ExplicitVRLittleEndian))
        # There will be no answer.
        assoc.dimse_timeout = assoc.network_timeout = 2
        sent, send = [], assoc.dul.send_pdu

        def some(primitive, assoc=assoc, how=how, sent=sent, send=send):
            sent.append(primitive)
            # A command and some of the data set.
            if len(sent) < 4:
                return send(primitive)
            if len(sent) > 4:
                return None
            if how == 'abort':
                assoc.dul.send_pdu = send
                assoc.abort()
            else:
                assoc.dul.socket.close()
            return None

        assoc.dul.send_pdu = some
        status = assoc.send_c_store(file)
        told[how] = status.get('Status') if status else None
    assoc = called(port, (DX, uid.ExplicitVRLittleEndian))
    told['whole'] = assoc.send_c_store(file).Status
    assoc.release()
    return told


def step(state, study, *series):
    """What a modality says of a step (PS3.4 table F.7.2-1): SERIES are lists of instances."""
    ds = Dataset()
    ds.SpecificCharacterSet = 'ISO_IR 192'
    ds.PerformedProcedureStepStatus = state
    if study:
        item = Dataset()
        item.StudyInstanceUID, item.ScheduledProcedureStepID = study, 'S1'
        item.AccessionNumber, item.RequestedProcedureID = 'A1', 'R1'
        item.ReferencedStudySequence, item.ScheduledProtocolCodeSequence = [], []
        ds.ScheduledStepAttributesSequence = [item]
        ds.PatientName, ds.PatientID, ds.PatientBirthDate, ds.PatientSex = 'Canary^Modality', 'CANARY-9', '', 'O'
        ds.PerformedProcedureStepID, ds.PerformedStationAETitle, ds.Modality = 'PPS1', 'CT1', 'DX'
        ds.PerformedProcedureStepStartDate, ds.PerformedProcedureStepStartTime = '20260101', '120000'
    ds.PerformedSeriesSequence = []
    for instances in series:
        item = Dataset()
        item.SeriesInstanceUID, item.ProtocolName = uid.generate_uid(), 'Chest'
        item.ReferencedImageSequence = []
        for instance in instances:
            one = Dataset()
            one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = DX, instance
            item.ReferencedImageSequence.append(one)
        ds.PerformedSeriesSequence.append(item)
    return ds


def steps(port, study):
    """Two steps of one study, and what is wrong; the statuses in order."""
    first, second, stranger = '1.2.7.1', '1.2.7.2', '1.2.7.9'
    assoc = called(port, (MPPS,))
    create = lambda instance, ds: assoc.send_n_create(ds, MPPS, instance)[0].Status
    change = lambda instance, ds: assoc.send_n_set(ds, MPPS, instance)[0].Status
    said = [
        create(first, step('IN PROGRESS', study)),
        create(first, step('IN PROGRESS', study)),
        create(second, step('IN PROGRESS', study)),
        create(stranger, step('COMPLETED', study)),
        change(stranger, step('COMPLETED', None, ['1.1'])),
        change(first, step('COMPLETED', None, ['1.1', '1.2'], ['1.3'])),
        change(first, step('COMPLETED', None, ['1.1'])),
        change(second, step('IN PROGRESS', None, ['1.4'])),
        change(second, step('DISCONTINUED', None, ['1.4', '1.5'])),
    ]
    assoc.release()
    return said


what, port, *arguments = sys.argv[1:]
print(json.dumps(globals()[what](int(port), *arguments)))
