"""Writes table.json, DICOM PS3.15 table E.1-1 with every attribute and its action codes, and vrs.json, the VR of each attribute.

    pip install pydicom==3.0.2
    pip download --no-deps dicom-anonymizer==2.1.0 dicom-standard==0.1.0
    python make-table.py FOLDER-WITH-THE-TWO-WHEELS

Sources: the basic profile's column of edition 2026c as dicom-anonymizer 2.1.0 has it (BSD-3-Clause); the options' columns of
edition 2020b as dicom-standard 0.1.0 has them (MIT). Rows that came after 2020b have no columns there, and get those that
the standard gives all of their kind: dates and times are kept or shifted (K, C), UIDs may be kept (K), texts that describe may
be cleaned (C). Those rows say "derived". A column that is missing means that the option changes nothing: the strict side.
"""

import glob
import importlib.util
import json
import pathlib
import re
import sys
import tempfile
import zipfile

from pydicom.datadict import DicomDictionary

HERE = pathlib.Path(__file__).parent
CODES = {
    "D_TAGS": "D", "Z_TAGS": "Z", "X_TAGS": "X", "U_TAGS": "U", "Z_D_TAGS": "Z/D", "X_Z_TAGS": "X/Z", "X_D_TAGS": "X/D",
    "X_Z_D_TAGS": "X/Z/D", "X_Z_U_STAR_TAGS": "X/Z/U*",
}
COLUMNS = {
    "rtnSafePrivOpt": "safePrivate", "rtnUIDsOpt": "uids", "rtnDevIdOpt": "device", "rtnInstIdOpt": "institution",
    "rtnPatCharsOpt": "patient", "rtnLongFullDatesOpt": "fullDates", "rtnLongModifDatesOpt": "shiftedDates",
    "cleanDescOpt": "descriptors", "cleanStructContOpt": "structured", "cleanGraphOpt": "graphics",
}
REPEATING = {(0x5000, 0x0000): "50xxxxxx", (0x6000, 0x4000): "60xx4000", (0x6000, 0x3000): "60xx3000"}
DESCRIBES = re.compile(r"(description|comments?|label|reason|text|abstract|keywords|instructions?|remarks?|history)$", re.I)


def unpacked(folder: pathlib.Path, name: str, into: str) -> pathlib.Path:
    wheel = next(folder.glob(f"{name}-*.whl"))
    out = pathlib.Path(into) / name
    zipfile.ZipFile(wheel).extractall(out)
    return out


def vr_of(tag: str, name: str) -> str:
    if tag in ("50xxxxxx", "60xx3000"):
        return "OW"
    if tag == "60xx4000":
        return "LT"
    known = DicomDictionary.get(int(tag, 16))
    if known:
        return known[0].split(" ")[0]
    # newer than pydicom
    return "SQ" if name.endswith("Sequence") else "DT" if name.endswith("DateTime") else "LO"


def derived(tag: str, vr: str, code: str, name: str) -> dict[str, str]:
    if vr in ("DA", "DT", "TM"):
        return {"fullDates": "K", "shiftedDates": "C"}
    if vr == "UI":
        return {"uids": "K"}
    if vr in ("LO", "LT", "SH", "ST", "UC", "UT") and DESCRIBES.search(name):
        return {"descriptors": "C"}
    return {}


def main(folder: pathlib.Path) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        old_file = next(unpacked(folder, "dicom_standard", temporary).rglob("confidentiality_profile_attributes.json"))
        new_file = next(unpacked(folder, "dicom_anonymizer", temporary).rglob("dicomfields_2026c.py"))
        spec = importlib.util.spec_from_file_location("fields", new_file)
        fields = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fields)
        old = {row["id"].lower(): row for row in json.loads(old_file.read_text())}
        names = dict(re.findall(r"\((0x[0-9A-Fa-f]{4}, 0x[0-9A-Fa-f]{4}).*?\),\s*#\s*(.+)", new_file.read_text()))
    rows = {}
    for list_name, code in CODES.items():
        for entry in getattr(fields, list_name):
            tag = REPEATING[entry[:2]] if len(entry) > 2 else "%04x%04x" % entry
            known = old.get(tag)
            name = known["name"] if known else names.get("0x%04X, 0x%04X" % entry[:2], "").strip()
            vr = vr_of(tag, name)
            row = {"tag": tag, "name": name, "vr": vr, "basic": code}
            columns = {COLUMNS[k]: v for k, v in (known or {}).items() if k in COLUMNS}
            if known is None:
                columns = derived(tag, vr, code, name)
                row["derived"] = True
            rows[tag] = row | columns
    private = old["ggggeeee-where-gggg-is-odd"]
    rows["private"] = {"tag": "private", "name": private["name"], "vr": "UN", "basic": private["basicProfile"], "safePrivate": "C"}
    lines = ",\n".join("    " + json.dumps(rows[tag], ensure_ascii=False) for tag in sorted(rows))
    (HERE / "table.json").write_text(
        "{\n"
        '  "title": "DICOM PS3.15 table E.1-1, Application Level Confidentiality Profile Attributes",\n'
        '  "edition": "2026c (basic profile), 2020b (options; rows after it are marked derived)",\n'
        '  "source": "dicom-anonymizer 2.1.0 (BSD-3-Clause), dicom-standard 0.1.0 (MIT), made by make-table.py",\n'
        '  "rows": [\n' + lines + "\n  ]\n}\n"
    )
    vrs: dict[str, list[str]] = {}
    for number, (vr, *_) in sorted(DicomDictionary.items()):
        vrs.setdefault(vr.split(" ")[0], []).append("%08x" % number)
    for tag, row in rows.items():
        if re.fullmatch("[0-9a-f]{8}", tag) and int(tag, 16) not in DicomDictionary:
            vrs[row["vr"]].append(tag)
    text = ",\n".join(f"  {json.dumps(vr)}: {json.dumps(' '.join(tags))}" for vr, tags in sorted(vrs.items()) if vr != "NONE")
    (HERE / "vrs.json").write_text("{\n" + text + "\n}\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
