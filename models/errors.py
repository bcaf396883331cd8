"""What a verb refuses, named for what the caller does next. ``webapp`` maps them to answers, ``main`` to exit codes.

::

    ModelError
    ├── NotFound    there is no such row, or it is not for this person to know
    ├── Conflict    somebody was quicker, or the row has moved on; look again
    ├── Invalid     the input cannot be; the text says what it must be
    └── Forbidden   this person may not
"""


class ModelError(Exception):
    """The root. Its text is a sentence for people."""


class NotFound(ModelError):
    """No such row."""


class Conflict(ModelError):
    """The row is no longer as the caller believed."""


class Invalid(ModelError):
    """The input is wrong. ``field`` names which, if one does."""

    def __init__(self, sentence: str, field: str = "") -> None:
        super().__init__(sentence)
        self.field = field


class Forbidden(ModelError):
    """Not allowed for this person."""
