"""Personal numbers: what makes one well formed, and the keyed hash that stands for it everywhere else.

A personal number is never stored, logged or published. An unkeyed hash of one would be no protection: a
province has about 2×10⁸ candidates. HMAC-SHA-256 under a secret key is.
"""

import hmac
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import msgspec

from tiendo_common.errors import BadKeys, Invalid

#: First three digits for those whose birth was registered in a province (Circular 59/2021/TT-BCA, annex);
#: 100 and above stand for countries, of which the domain gives no list.
PROVINCE_CODES = frozenset(
    f"{code:03}"
    for code in (
        *(1, 2, 4, 6, 8, 10, 11, 12, 14, 15, 17, 19, 20, 22, 24, 25, 26, 27, 30, 31, 33, 34, 35, 36, 37, 38),
        *(40, 42, 44, 45, 46, 48, 49, 51, 52, 54, 56, 58, 60, 62, 64, 66, 67, 68, 70, 72, 74, 75, 77, 79, 80),
        *(82, 83, 84, 86, 87, 89, 91, 92, 93, 94, 95, 96),
    )
)
FIRST_COUNTRY_CODE = "100"
PERSONAL_NUMBER_LENGTH = 12
_COMPARE = "Compare it with the citizen's card."


def check_personal_number(number: str, today: date) -> None:
    """Raise Invalid, naming the part that is wrong, unless the number could be somebody's.

    Three digits for the place of birth registration, one for century and sex (0 and 1 for the 1900s, 2 and
    3 for the 2000s, and so on), two for the year of birth, six at random; there is no check digit. The
    message never repeats the number.
    """
    if len(number) != PERSONAL_NUMBER_LENGTH or not (number.isascii() and number.isdigit()):
        raise Invalid(
            "A personal number has 12 digits.",
            field="citizen_id",
            remedy="Send all 12 as text: spreadsheets drop the zeros in front.",
        )
    place = number[:3]
    if place not in PROVINCE_CODES and place < FIRST_COUNTRY_CODE:
        raise Invalid(
            f"The first three digits, {place}, are neither a province's nor a country's code.",
            field="citizen_id",
            remedy=_COMPARE,
        )
    if 1900 + 100 * (ord(number[3]) - 48 >> 1) + int(number[4:6]) > today.year:
        raise Invalid(
            "The digits for century and year of birth are in the future.", field="citizen_id", remedy=_COMPARE
        )


@dataclass(frozen=True, slots=True)
class PersonKey:
    """One secret key. Keys are numbered in the order in which they came into use."""

    id: int
    secret: bytes


class _StoredKey(msgspec.Struct):
    id: int
    secret: str


class _KeysFile(msgspec.Struct):
    keys: list[_StoredKey]


class PersonHasher:
    """Turns a personal number into its keyed hash.

    Rotation wraps: with keys k1 and k2, the hash is HMAC(k2, HMAC(k1, number)). So a stored hash is
    lifted to a new key without the number, and an old key alone opens nothing that was lifted.
    """

    def __init__(self, keys: list[PersonKey]) -> None:
        if not keys or [key.id for key in keys] != sorted({key.id for key in keys}):
            raise ValueError("person keys must be in ascending order of distinct ids")
        if any(len(key.secret) < 32 for key in keys):
            raise ValueError("a person key has at least 32 bytes")
        self._keys = keys
        self.key_id = keys[-1].id
        # Taking the key in is about half of what a hash costs.
        self._keyed = [hmac.new(key.secret, digestmod="sha256") for key in keys]

    @classmethod
    def from_file(cls, path: Path) -> "PersonHasher":
        """Keys from `{"keys": [{"id": 1, "secret": "<hex>"}]}`. Raises BadKeys, OSError."""
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=_KeysFile).keys
            return cls([PersonKey(key.id, bytes.fromhex(key.secret)) for key in stored])
        except ValueError as error:
            raise BadKeys(f"{path} is no file of person keys: {error}") from error

    def hash(self, number: str) -> bytes:
        """The hash under all keys."""
        digest = number.encode()
        for keyed in self._keyed:
            under_key = keyed.copy()
            under_key.update(digest)
            digest = under_key.digest()
        return digest

    def mark(self, key_id: int) -> bytes:
        """By what the keys up to this one can be recognised; it stands for nobody and gives no key away."""
        digest = b"the mark of these person keys"
        for key in self._keys:
            if key.id <= key_id:
                digest = hmac.digest(key.secret, digest, "sha256")
        return digest

    def lift(self, digest: bytes, key_id: int) -> bytes:
        """A hash made when `key_id` was the newest key, as it would be made today."""
        for key in self._keys:
            if key.id > key_id:
                digest = hmac.digest(key.secret, digest, "sha256")
        return digest
