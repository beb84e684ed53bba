"""What HIS, LIS and PACS send as HL7 v2 on the sample day: lists of segments, without bytes or line ends."""

from collections.abc import Iterator
from itertools import cycle, islice

from console.sample.day.vocabulary import (
    CHARSETS,
    CLINICS,
    CRITICALS,
    DAY,
    EXAMS,
    GIVEN,
    LABS,
    PREPARATIONS,
    SURNAMES,
    WARDS,
)


def name_of(number: int) -> str:
    """Somebody's name, as PID-5 has it."""
    return f"{SURNAMES[number % len(SURNAMES)]}^{GIVEN[number % len(GIVEN)]}"


def patients(count: int, start: int = 0) -> Iterator[str]:
    """Patient ids of the sample registry, P0001 to P0060 in turn."""
    return islice(cycle(f"P{number:04}" for number in range(1, 61)), start, start + count)


def header(app: str, event: str, control_id: str, at: str, charset: str = "UNICODE UTF-8") -> str:
    """An MSH segment."""
    return f"MSH|^~\\&|{app}|HEAN|MEDPOST|HEAN|{at}||{event}|{control_id}|P|2.4|||AL|AL|CHN|{charset}"


def person(patient: str, number: int) -> str:
    """A PID segment: the medical record number beside another identifier."""
    born, sex = f"19{60 + number % 40}0101", "MF"[number % 2]
    return f"PID|1||C{number:08}^^^HEAN^PI~{patient}^^^HEAN^MR||{name_of(number)}||{born}|{sex}"


def physician(number: int, name: str) -> str:
    """A physician as PV1-7 has one: id, family name, given name."""
    return f"D{number % 8:03}^{name[0]}^{name[1:]}"


def clock(number: int) -> str:
    """A time of that day, later for later numbers, without seconds' precision being pretended."""
    minute = 8 * 60 + number * 2
    return f"{DAY}{minute // 60:02}{minute % 60:02}00"


def registrations() -> Iterator[list[str]]:
    """HIS: 60 registrations (ADT^A04), two of them for numbers at which a provider answers oddly."""
    for number, patient in enumerate([*patients(58), "P9009", "P9003"]):
        code, clinic, doctor, floor, room = CLINICS[number % len(CLINICS)]
        at = clock(number)
        yield [
            header("HIS", "ADT^A04^ADT_A01", f"HIS{DAY}A{number:04}", at),
            f"EVN|A04|{at}",
            person(patient, number),
            (
                f"PV1|1|O|{code}^{room}^^HEAN^^^门诊楼^{floor}^{clinic}||{number + 1}||{physician(number, doctor)}"
                f"{'|' * 37}{clock(number + 60)}"
            ),
        ]


def queue_calls() -> Iterator[list[str]]:
    """HIS: 40 calls to the consulting room (ADT^A10)."""
    for number, patient in enumerate([*patients(38, 5), "P9001", "P9006"]):
        code, clinic, _, floor, room = CLINICS[number % len(CLINICS)]
        yield [
            header("HIS", "ADT^A10", f"HIS{DAY}Q{number:04}", clock(number)),
            person(patient, number + 5),
            f"PV1|1|O|{code}^{room}^^HEAN^^^门诊楼^{floor}^{clinic}||{number + 1}",
        ]


def appointments() -> Iterator[list[str]]:
    """HIS: 12 examinations booked (SIU^S12) and 12 clinics that do not take place (SIU^S15)."""
    for number, patient in enumerate(patients(12, 20)):
        code, exam = EXAMS[number % len(EXAMS)]
        at = f"20260805{9 + number % 8:02}3000"
        yield [
            header("HIS", "SIU^S12^SIU_S12", f"HIS{DAY}S{number:04}", clock(number)),
            f"SCH|AP{DAY}{number:03}|||||||{code}^{exam}|||^^15^{at}",
            person(patient, number + 20),
            f"AIS|1|A|{code}^{exam}^HEAN|{at}",
            f"AIL|1|A|RIS^^^HEAN^^^影像楼^2层^影像楼2层{number % 4 + 1}号机房",
            *([f"NTE|1||{PREPARATIONS[number % 6]}"] if PREPARATIONS[number % 6] else []),
        ]
    for number, patient in enumerate(patients(12, 40)):
        code, clinic, doctor, floor, _ = CLINICS[number % len(CLINICS)]
        yield [
            header("HIS", "SIU^S15^SIU_S12", f"HIS{DAY}C{number:04}", clock(number + 30)),
            f"SCH|AP{DAY}{number + 100:03}|||||STOP^停诊|||||^^^20260804080000",
            person(patient, number + 40),
            f"AIL|1|D|{code}^^^HEAN^^^门诊楼^{floor}^{clinic}",
            f"AIP|1|D|{physician(number, doctor)}",
        ]


def order(number: int, at: str, staff: str = "S001") -> str:
    """An OBR segment of the laboratory."""
    code, item = LABS[number % len(LABS)]
    return f"OBR|{number}|O{number:06}|L{number:06}|{code}^{item}^LIS||{at}|{at}|||||||||{staff}||||||{at}|||F"


def lab_reports(charset: str, count: int, start: int) -> Iterator[list[str]]:
    """LIS: reports (ORU^R01), every fifth with two orders."""
    for number, patient in enumerate([*patients(count - 3, start), "P9001", "P9007", "P9008"], start):
        at = clock(number)
        yield [
            header("LIS", "ORU^R01^ORU_R01", f"LIS{DAY}R{number:04}", at, CHARSETS[charset]),
            person(patient, number),
            "PV1|1|O",
            order(number, at),
            "OBX|1|NM|X1^项目一^LIS||5.1|mmol/L|3.5-5.3|N|||F",
            *(
                [order(number + 1, at), "OBX|1|TX|X2^备注^LIS||未见异常\\.br\\建议复查||||||F"]
                if number % 5 == 0
                else []
            ),
        ]


def critical_values() -> Iterator[list[str]]:
    """LIS: ten in-patients with a value that a physician must hear of now (OBX-8 HH or LL)."""
    for number, (code, item, value, unit, normal, flag) in enumerate(CRITICALS):
        ward, ward_name = WARDS[number]
        at = clock(number * 7)
        yield [
            header("LIS", "ORU^R01^ORU_R01", f"LIS{DAY}V{number:04}", at, CHARSETS["gb18030"]),
            person(f"P{number + 50:04}", number),
            f"PV1|1|I|{ward}^{number + 1}^{number * 3 + 2:02}^HEAN^^^住院楼^^{ward_name}||||S{number + 1:03}^值班^医生",
            order(number, at, f"S{number + 1:03}"),
            f"OBX|1|NM|{code}^{item}^LIS||{value}|{unit}|{normal}|{flag}|||F",
            "OBX|2|NM|X1^对照^LIS||1.0||||N|||F",
            "NTE|1||【危急值】已复查",
        ]


def exam_reports() -> Iterator[list[str]]:
    """PACS: 30 reports."""
    for number, patient in enumerate([*patients(28, 10), "P9001", "P9009"]):
        code, exam = EXAMS[number % len(EXAMS)]
        at = clock(number * 2)
        yield [
            header("PACS", "ORU^R01^ORU_R01", f"RIS{DAY}{number:04}", at),
            person(patient, number + 10),
            f'ORC|RE|R{number}^HIS|A{number}^RIS||CM||||""',
            f"OBR|1|R{number}^HIS|A{number}^RIS|{code}^{exam}^RIS|||{at}|||||||||||||||{at}|||F",
            "OBX|1|TX|RPT1^检查所见^RIS||    双肺纹理清晰，未见明显实变影。||||||F",
        ]
