"""The package's errors: each message names the input at fault and the remedy."""


class CmrError(Exception):
    """Base of every error the package raises on purpose; the command line prints it on one line."""


class InputError(CmrError):
    """A file, array or parameter given by the user cannot be used."""


class RegistrationError(CmrError):
    """The root translation of a hand cannot be determined from its cues."""


def reason(error: BaseException) -> str:
    """Return the first line of an error's text, or its type's name if it has no text."""
    return (str(error) or type(error).__name__).splitlines()[0]
