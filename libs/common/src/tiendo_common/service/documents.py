"""Documents that are sent to us, as pydantic reads them: errors in plain words."""

import difflib
from typing import Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError


class Sent(BaseModel):
    """A document that somebody sends: a field that we don't know is a slip, not something to pass over."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _name_the_right_field(cls, value: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return handler(value)
        except ValidationError as error:
            raise ValidationError.from_exception_data(
                cls.__name__,
                [
                    InitErrorDetails(
                        type=PydanticCustomError(
                            # The driver's own words are no template, though they may look like one.
                            "in_words",
                            "{words}",
                            {"words": cls._in_words(each["loc"], each["type"], each["msg"])},
                        ),
                        loc=each["loc"],
                        input=each["input"],
                    )
                    for each in error.errors()
                ],
            ) from None

    @classmethod
    def _in_words(cls, place: tuple[int | str, ...], kind: str, said: str) -> str:
        if kind != "extra_forbidden" or len(place) != 1:
            return said
        near = difflib.get_close_matches(str(place[0]).lower(), cls.model_fields, n=1)
        return "There is no such field." + (f" Did you mean {near[0]!r}?" if near else "")


def in_words(words: str) -> WrapValidator:
    """What a type that is checked by a pattern asks for, said in place of the pattern."""

    def check(value: Any, handler: Any) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise PydanticCustomError("in_words", "{words}", {"words": f"This must be {words}."}) from None

    return WrapValidator(check)
