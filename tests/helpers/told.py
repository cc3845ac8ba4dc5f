"""What a refusal says, whole: a message that names the wrong number, name or remedy is an error as much as a figure."""

import pytest


def told(call, *arguments, kind: type[Exception] = ValueError, **options) -> str:
    """The message of the error that a call raises."""
    with pytest.raises(kind) as error:
        call(*arguments, **options)
    return str(error.value)
