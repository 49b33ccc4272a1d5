"""The sample users, of every role, and their sessions, some of them long expired."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final

from families.database import tables
from families.database.encryption import AnswerCipher
from families.database.sample_data import words
from families.database.sample_data.ids import any_id, user_id
from families.database.sample_data.rows import Rows

NO_PASSWORD: Final = "!no-password"  # noqa: S105  (nobody can sign in with it)
SESSION_HOURS: Final = 24
SESSIONS_EACH: Final = 6


@dataclass(frozen=True)
class Person:
    username: str
    role: str
    name: str
    department: str
    active: bool = True


PEOPLE: Final = (
    Person("developer", "super_admin", "Developer", "IT"),
    Person("demo", "admin", "Demo Admin", "IT"),
    Person("napas", "customer_service", "นภา ศรีสุข", "บริการลูกค้า"),
    Person("somsak", "sales", "Somsak Wongsawat", "Sales"),
    Person("anong", "marketing", "Anong Chaiyasit", "Marketing"),
    Person("kittipong", "technic", "กิตติพงษ์ ศรีใส", "ซ่อมบำรุง"),
    Person("zoe", "technic", "Zoë Müller", "Maintenance"),
    Person("somchai", "general_user", "สมชาย ใจดี", "ผลิต"),
    Person("hanako", "general_user", "田中 花子", "Quality"),
    Person("jose", "general_user", "José Álvarez", "Warehouse"),
    Person("lukasz", "general_user", "Łukasz Żak", "Purchasing"),
    Person("former", "sales", "Former Colleague", "Sales", active=False),
)
"""Their numbers, from 1, make their ids: a0000000-0000-4000-8000-000000000002 is the administrator of the demonstration."""

ADMIN: Final = PEOPLE[1]
ADMIN_ID: Final = user_id(2)


def add_users(rows: Rows, chance: Random, cipher: AnswerCipher, until: datetime) -> None:
    for number, person in enumerate(PEOPLE, start=1):
        first, _, last = person.name.partition(" ")
        guarded = number % 2 == 0
        joined = until - timedelta(days=760 - 20 * number)
        rows.add(
            tables.users,
            id=user_id(number),
            username=person.username,
            email=f"{person.username}@example.com",
            password_hash=NO_PASSWORD,
            full_name_enc=cipher.encrypt(person.name, chance.randbytes(16)),
            role=person.role,
            phone_enc=cipher.encrypt(f"08{chance.randrange(10**8):08}", chance.randbytes(16)),
            is_active=person.active,
            last_login_at=until - timedelta(hours=3 * number**2 if person.active else 24 * 300),
            twoFactorSecret=cipher.encrypt("SAMPLE", chance.randbytes(16)) if guarded else None,
            twoFactorEnabled=guarded,
            twoFactorEnabledAt=joined if guarded else None,
            firstName=first,
            lastName=last or None,
            department=person.department,
            createdAt=joined,
            updatedAt=joined,
        )


def add_sessions(rows: Rows, chance: Random, until: datetime) -> None:
    """For each user the last one still holds, the others expired over the past months."""
    for number in range(1, len(PEOPLE) + 1):
        for age in range(SESSIONS_EACH):
            began = until - timedelta(days=age * (age + 4), hours=number)
            rows.add(tables.sessions, **_session(number, began, chance))


def _session(number: int, began: datetime, chance: Random) -> dict[str, Any]:
    return {
        "id": any_id(chance),
        "user_id": user_id(number),
        "token": f"sample-{chance.getrandbits(128):032x}",
        "refresh_token": f"sample-{chance.getrandbits(128):032x}",
        "expires_at": began + timedelta(hours=SESSION_HOURS),
        "ip_address": f"192.0.2.{number}",
        "user_agent": chance.choice(words.BROWSERS),
        "last_used_at": began + timedelta(minutes=chance.randrange(600)),
        "createdAt": began,
        "updatedAt": began,
    }
