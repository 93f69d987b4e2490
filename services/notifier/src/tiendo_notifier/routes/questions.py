"""What questions have in common."""

from typing import Annotated

from pydantic import Field

from tiendo_common.service.documents import in_words

#: PostgreSQL has no text with a zero character in it: without this, asking for one would be our error.
Text = Annotated[
    str, Field(pattern=r"^[^\x00]{1,100}$"), in_words("1 to 100 characters, none of them a zero character")
]
