"""What the cashier, the wards' and the departments' systems send as HL7 v2 on the sample day: lists of segments.

Beside `messages`, which has HIS, LIS and PACS. Called by the program that writes the files; sends nothing itself.
"""

from collections.abc import Iterator

from console.sample.day.messages import clock, header, patients, person, physician
from console.sample.day.vocabulary import (
    CHARSETS,
    CHECKUPS,
    CLINICS,
    DAY,
    DRUGS,
    EXAMS,
    FEES,
    PRENATALS,
    STAGES,
    WARDS,
)

GB: str = CHARSETS["gb18030"]


def refunds() -> Iterator[list[str]]:
    """HIS: 12 registrations given back (ADT^A11), one at a number that refuses."""
    for number, patient in enumerate([*patients(11, 25), "P9001"]):
        code, clinic, doctor, floor, room = CLINICS[number % len(CLINICS)]
        at = clock(number + 15)
        yield [
            header("HIS", "ADT^A11^ADT_A09", f"HIS{DAY}X{number:04}", at),
            f"EVN|A11|{at}",
            person(patient, number + 25),
            (
                f"PV1|1|O|{code}^{room}^^HEAN^^^门诊楼^{floor}^{clinic}||{number + 1}||{physician(number, doctor)}"
                f"{'|' * 37}{clock(number + 60)}"
            ),
        ]


def invoices() -> Iterator[list[str]]:
    """Cashier: 24 payments (DFT^P03, GB18030), each with its charges (CG), for which nobody is written to."""
    for number, patient in enumerate([*patients(22, 3), "P9001", "P9006"]):
        at = clock(number * 3)
        (first, item, fee), (second, other, more) = FEES[number % len(FEES)], FEES[(number + 1) % len(FEES)]
        yield [
            header("BILL", "DFT^P03^DFT_P03", f"BILL{DAY}{number:04}", at, GB),
            f"EVN|P03|{at}",
            person(patient, number + 3),
            f"FT1|1|||{at}||CG|{first}^{item}|||1|{fee / 100:.2f}&CNY",
            f"FT1|2|||{at}||CG|{second}^{other}|||1|{more / 100:.2f}&CNY",
            f"FT1|3|3301{DAY}{number:06}||{at}||PY|{first}^{item}等 2 项|||1|{(fee + more) / 100:.2f}&CNY",
        ]


def orders() -> Iterator[list[str]]:
    """EMR: 15 orders that wait for payment (ORM^O01), every fifth of them taken back."""
    for number, patient in enumerate(patients(15, 12)):
        code, exam = EXAMS[number % len(EXAMS)]
        at, clinic = clock(number * 4), CLINICS[number % len(CLINICS)]
        control = "CA" if number % 5 == 4 else "NW"
        yield [
            header("EMR", "ORM^O01^ORM_O01", f"EMR{DAY}O{number:04}", at),
            person(patient, number + 12),
            f"PV1|1|O|{clinic[0]}^{clinic[4]}^^HEAN^^^门诊楼^{clinic[3]}^{clinic[1]}",
            f"ORC|{control}|E{number:06}^EMR|||SC||||{at}",
            f"OBR|1|E{number:06}^EMR||{code}^{exam}^EMR|||{at}{'|' * 16}{160 + number * 35}.00&CNY",
        ]


def discharges() -> Iterator[list[str]]:
    """EMR: 12 documents (MDM^T02); summaries that are signed go out, the others are nobody's business yet."""
    for number, patient in enumerate(patients(12, 44)):
        ward, ward_name = WARDS[number % len(WARDS)]
        at = clock(number * 9)
        kind, state = ("DS^出院小结", "LA") if number % 4 else ("PN^病程记录", "DI")
        yield [
            header("EMR", "MDM^T02^MDM_T02", f"EMR{DAY}D{number:04}", at),
            f"EVN|T02|{at}",
            person(patient, number + 44),
            f"PV1|1|I|{ward}^{number + 1}^{number + 1:02}^HEAN^^^住院楼^^{ward_name}",
            f"TXA|1|{kind}|TX|{at}{'|' * 13}{state}",
            "OBX|1|TX|DS1^出院情况^EMR||患者一般情况好，准予出院。||||||F",
        ]


def surgeries() -> Iterator[list[str]]:
    """Operating theatre: 4 operations told in 5 stages each (SIU^S14, GB18030), by the theatre's own stage codes."""
    for number, patient in enumerate(patients(4, 50)):
        for step, stage in enumerate(STAGES):
            at = clock(number * 10 + step * 25)
            yield [
                header("ORIS", "SIU^S14^SIU_S12", f"ORIS{DAY}{number:02}{step:02}", at, GB),
                f"SCH|OP{DAY}{number:03}|||||||OR{number}^手术|||^^90^{at}{'|' * 14}{stage}",
                person(patient, number + 50),
                "AIL|1|A|OR^^^HEAN^^^住院楼^5层^住院楼5层手术等候区",
            ]


def prenatals() -> Iterator[list[str]]:
    """Obstetrics: 14 examinations in pregnancy (SIU^S12)."""
    for number, patient in enumerate([*patients(13, 33), "P9006"]):
        week, item = PRENATALS[number % len(PRENATALS)]
        at = f"202608{10 + number:02}{8 + number % 8:02}0000"
        yield [
            header("OBGYN", "SIU^S12^SIU_S12", f"OB{DAY}{number:04}", clock(number * 6)),
            f"SCH|OB{DAY}{number:03}|||||||PN{number}^{item}|||^^20^{at}",
            person(patient, number * 2 + 1),
            f"OBX|1|NM|11884-4^孕周^LN||{week}|wk|||||F",
            "AIL|1|A|0401^^^HEAN^^^门诊楼^5层^门诊楼5层产科门诊",
        ]


def dispenses() -> Iterator[list[str]]:
    """Pharmacy: 18 prescriptions handed out (RDS^O13), every third with two drugs."""
    for number, patient in enumerate([*patients(16, 6), "P9006", "P9009"]):
        at = clock(number * 5)
        chosen = [DRUGS[(number + other) % len(DRUGS)] for other in range(2 if number % 3 == 0 else 1)]
        yield [
            header("PHARM", "RDS^O13^RDS_O13", f"PH{DAY}{number:04}", at),
            person(patient, number + 6),
            *(segment for one, drug in enumerate(chosen, start=1) for segment in _drug(one, number, at, drug)),
        ]


def _drug(one: int, number: int, at: str, drug: tuple[str, str, str, str]) -> Iterator[str]:
    """A drug of a prescription: order, encoded order with its instructions, what was handed out, perhaps a note."""
    code, name, usage, caution = drug
    yield f"ORC|RE|RX{number:06}-{one}^PHARM|||CM||||{at}"
    yield f"RXE||{code}^{name}|1||盒||^{usage}"
    if caution:
        yield f"NTE|1||{caution}"
    yield f"RXD|{one}|{code}^{name}|{at}|1"


def checkups() -> Iterator[list[str]]:
    """Check-up centre: 14 reports (ORU^R01, GB18030), with results that no message repeats."""
    for number, patient in enumerate([*patients(13, 18), "P9001"]):
        code, package = CHECKUPS[number % len(CHECKUPS)]
        at = clock(number * 8)
        yield [
            header("TJ", "ORU^R01^ORU_R01", f"TJ{DAY}{number:04}", at, GB),
            person(patient, number + 18),
            f"OBR|1|T{number:06}|T{number:06}|{code}^{package}^TJ||{at}|{at}{'|' * 15}{at}|||F",
            "OBX|1|TX|TJ1^总检结论^TJ||各项指标未见明显异常，建议每年复查。||||||F",
        ]
