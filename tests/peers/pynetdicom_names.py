"""Asks a node for patients by their names, each query in the character set of the image that it is after.

Usage: pynetdicom_names.py PORT FILE...; prints for each file the names that came back, and the set that they came in.
"""
import json
import sys

from pydicom import dcmread
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as PatientFind

port, files = int(sys.argv[1]), sys.argv[2:]
ae = AE(ae_title='PYNET')
ae.add_requested_context(PatientFind)
assoc = ae.associate('127.0.0.1', port, ae_title='RAYLOG')
said = {}
for file in files:
    image = dcmread(file, stop_before_pixels=True)
    query = Dataset()
    query.SpecificCharacterSet = image.SpecificCharacterSet
    query.QueryRetrieveLevel, query.PatientID = 'PATIENT', ''
    # The bytes as they stand in the image: not what pydicom would write of the text.
    query.PatientName = image.PatientName.original_string
    found = [ds for _, ds in assoc.send_c_find(query, PatientFind) if ds]
    said[file] = [[str(ds.PatientName), str(ds.PatientID), str(ds.SpecificCharacterSet)] for ds in found]
assoc.release()
print(json.dumps(said))
