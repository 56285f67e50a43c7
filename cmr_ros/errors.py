"""The package's errors: each message names the input at fault and the remedy."""

#: Messages repeat texts of inputs; nobody reads more of them than that.
_LONGEST_MESSAGE, _LONGEST_REASON = 600, 200


class CmrError(Exception):
    """Base of every error the package raises on purpose; the command line prints it on one line.

    The message is one line of bounded length, whatever texts of an input it repeats.
    """

    def __init__(self, message: str = ""):
        super().__init__(_line(message, _LONGEST_MESSAGE))


class InputError(CmrError):
    """A file, array or parameter given by the user cannot be used."""


class RegistrationError(CmrError):
    """The root translation of a hand cannot be determined from its cues."""


class EngineError(CmrError):
    """A network that ran before does not run any more: its device or the memory is gone."""


def reason(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name if it has no text."""
    first = (str(error).strip() or type(error).__name__).splitlines()[0]
    return _line(first, _LONGEST_REASON)


def _line(text: str, longest: int) -> str:
    """Return a text on one line, without control characters, with its middle left out if long."""
    text = "".join(one if one.isprintable() else " " for one in str(text))
    if len(text) <= longest:
        return text
    return f"{text[: longest // 2]}[...]{text[-longest // 2 :]}"
