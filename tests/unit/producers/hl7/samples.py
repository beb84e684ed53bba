"""Messages written for the HL7 tests: fictional hospital, fictional people."""

HEADER = "MSH|^~\\&|{app}|H1|MP|H1|20260105143015||{event}|{control_id}|P|2.4|||AL|AL|CHN|{charset}"


def message(
    *segments: str,
    app: str = "LIS",
    event: str = "ORU^R01",
    control_id: str = "C1",
    charset: str = "UNICODE UTF-8",
    end: str = "\r",
) -> str:
    """A message of that header and those segments."""
    header = HEADER.format(app=app, event=event, control_id=control_id, charset=charset)
    return "".join(segment + end for segment in (header, *segments))


PATIENT = "PID|1||110101199001010010^^^GA^ID~P0001^^^H1^MR||王^晓||19900101|F"
REPORT = message(
    PATIENT,
    "PV1|1|I|1203^5^07^^^^^^心内科病房||||S001^李^医生",
    "OBR|1|O1|L1|K^电解质^LIS||20260105140000|20260105140500|||||||||S002^周^医生||||||20260105143010|||F",
    "OBX|1|NM|K^血清钾^LIS||7.1|mmol/L^毫摩尔|3.5-5.3|HH|||F",
    "OBX|2|NM|NA^血清钠^LIS||141|mmol/L|137-147|N|||F",
    "NTE|1||危急值已复查",
    "OBR|2|O2|L2|CBC^血常规^LIS||||||||||||S003|||||||||F",
    "OBX|1|NM|PLT^血小板||9|10\\S\\9/L|100-300|LL~<|||F",
)
