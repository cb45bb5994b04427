"""Reads HL7 v2 messages strictly, as HL7 defines 2.5.1, and says what is in them."""

import json
import sys

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message

said = []
for path in sys.argv[1:]:
    with open(path, newline="", encoding="utf-8") as file:
        message = parse_message(file.read(), validation_level=VALIDATION_LEVEL.STRICT)
    message.validate()
    result = message.oru_r01_patient_result
    order = result.oru_r01_order_observation
    said.append(
        {
            "charset": message.msh.msh_18.to_er7(),
            "patient": result.oru_r01_patient.pid.pid_3.cx_1.to_er7() if result.oru_r01_patient else None,
            "names": [
                [name.xpn_1.to_er7(), name.xpn_2.to_er7(), name.xpn_8.to_er7()]
                for name in (result.oru_r01_patient.pid.pid_5 if result.oru_r01_patient else [])
            ],
            "filler": order.obr.obr_3.ei_1.to_er7(),
            "status": order.obr.obr_25.to_er7(),
            "results": [
                [one.obx.obx_2.to_er7(), one.obx.obx_3.ce_1.to_er7(), one.obx.obx_5.to_er7(), one.obx.obx_11.to_er7()]
                for one in order.oru_r01_observation
            ],
        }
    )
print(json.dumps(said))
