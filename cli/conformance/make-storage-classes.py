"""Writes storage-classes.json: the storage SOP classes of PS3.6 table A-1, by UID, as pydicom==3.0.1 has them. Names say which are retired."""
import json
from pathlib import Path

from pydicom._uid_dict import UID_dictionary

# A directory of a medium, and storage commitment: no instances that anybody stores.
others = {'1.2.840.10008.1.3.10', '1.2.840.10008.1.20.1', '1.2.840.10008.1.20.2'}
classes = {
    uid: name.removesuffix(' SOP Class') + (' (retired)' if retired else '')
    for uid, (name, kind, _, retired, _) in UID_dictionary.items()
    if kind == 'SOP Class' and 'Storage' in name and uid not in others
}
in_order = sorted(classes.items(), key=lambda entry: [int(part) for part in entry[0].split('.')])
Path(__file__).with_name('storage-classes.json').write_text(json.dumps(dict(in_order), indent=2) + '\n')
