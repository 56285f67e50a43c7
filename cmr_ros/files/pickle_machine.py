"""A small machine that runs pickles: plain containers and values, and what its user lets them call.

A pickle is a program.  Python's own machine lets it call whatever it names and set any object's
state; this one has the instructions that data need, refuses every other, and charges for whatever
is made, so that neither time nor memory nor depth is the file's to choose.
"""

from __future__ import annotations

import io
import pickletools
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cmr_ros.errors import InputError

#: What all values together may take, and a single number or text in the file.
_MAX_MEMORY, _MAX_PIECE = 1 << 30, 64 << 20
#: Each takes two or three microseconds; a template has some thousand, a checkpoint ten for each
#: entry.
_MAX_INSTRUCTIONS = 500_000
_TOO_MUCH = "refused, it holds or unpacks to more than any such file"
#: What may be a key: values whose hash cannot run deep, as that of nested tuples does.
_KEYS = (str, int, float, bytes, type(None), np.generic)


@dataclass(frozen=True)
class Function:
    """What a file may call; nothing else is called, whatever a file puts in its place."""

    call: Callable[..., Any]


class Pieces(io.BytesIO):
    """A pickle, or several; it hands out no piece too large for a single value."""

    def read(self, size: int | None = -1) -> bytes:
        """Return the next bytes; InputError if they are too many."""
        if size is None or not 0 <= size <= _MAX_PIECE:
            raise InputError(f"refused, it asks for a value of {size} bytes")
        return super().read(size)

    def readline(self, _: int | None = -1) -> bytes:
        """Return the next line, or as much of it as a value may be long."""
        return super().readline(_MAX_PIECE)


class Machine:
    """Runs one pickle."""

    def __init__(
        self,
        find: Callable[[str, str], Any],
        set_state: Callable[[Any, Any], None],
        find_outside: Callable[[Any], Any] | None = None,
        max_instructions: int = _MAX_INSTRUCTIONS,
    ):
        """Take what decides on all that is more than a plain value.

        Args:
            find: returns what a file means by a module and a name: a Function, or anything else,
                which is then not called; raises InputError for what is not needed.
            set_state: gives an object its state; raises InputError where it has none.
            find_outside: returns a value that is kept outside the pickle, by its key.
            max_instructions: which take the time.

        """
        self._find, self._set_state, self._find_outside = find, set_state, find_outside
        self._left, self._max_instructions = _MAX_MEMORY, max_instructions
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}

    def run(self, stream: Pieces) -> Any:
        """Return the value of the pickle that starts here; the stream stops behind its end.

        Raises InputError for what is refused, and any exception for what is damaged.
        """
        for count, (instruction, argument, position) in enumerate(pickletools.genops(stream)):
            # An object and its place take some 100 bytes, a text more than it does in the file.
            if count > self._max_instructions or 100 * count + 3 * position > self._left:
                raise InputError(_TOO_MUCH)
            step = _STEPS.get(instruction.name)
            if step is None:
                raise InputError(f"refused, its instruction {instruction.name} is not needed")
            if step is _stop:
                return self._stack.pop()
            step(self, argument)
        raise ValueError("it has no end")

    def _charge(self, size: int) -> None:
        self._left -= size
        if self._left < 0:
            raise InputError(_TOO_MUCH)

    def _push(self, value: Any) -> None:
        self._stack.append(value)

    def _top(self, kind: type) -> Any:
        if not isinstance(self._stack[-1], kind):
            raise ValueError(f"an entry of something that is no {kind.__name__}")
        return self._stack[-1]

    def _marked(self) -> list[Any]:
        """Take what lies above the last mark."""
        start = self._marks.pop()
        values = self._stack[start:]
        del self._stack[start:]
        return values

    def _last(self, count: int) -> list[Any]:
        return [self._stack.pop() for _ in range(count)][::-1]

    def _append(self, values: Sequence[Any]) -> None:
        self._top(list).extend(values)

    def _set_items(self, values: Sequence[Any]) -> None:
        entries = self._top(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, _KEYS):
                raise InputError("refused, a dictionary has keys that are neither text nor numbers")
            entries[key] = value

    def _dictionary(self, values: Sequence[Any]) -> None:
        self._push({})
        self._set_items(values)

    def _name(self, module: Any, name: Any) -> None:
        self._push(self._find(str(module), str(name)))

    def _call(self) -> None:
        function, arguments = self._last(2)
        if not isinstance(function, Function):
            raise InputError("refused, it calls what is no function")
        self._push(function.call(*arguments))
        self._charge(sys.getsizeof(self._stack[-1]))

    def _build(self) -> None:
        (state,) = self._last(1)
        self._set_state(self._stack[-1], state)
        self._charge(getattr(self._stack[-1], "nbytes", 0))

    def _outside(self) -> None:
        if self._find_outside is None:
            raise InputError("refused, it names values outside the file")
        self._push(self._find_outside(*self._last(1)))

    def _integer(self, value: int) -> None:
        if value.bit_length() > 128:
            raise InputError("refused, it holds a number of more than 128 bits")
        self._push(value)


def _stop(own: Machine, _: Any) -> None:
    """Mark the end."""


#: What each instruction does to the machine.
_STEPS: dict[str, Callable[[Machine, Any], Any]] = (
    dict.fromkeys(
        "FLOAT BINFLOAT STRING BINSTRING SHORT_BINSTRING BINBYTES SHORT_BINBYTES BINBYTES8 "
        "BYTEARRAY8 UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8".split(),
        Machine._push,
    )
    | dict.fromkeys("INT BININT BININT1 BININT2 LONG LONG1 LONG4".split(), Machine._integer)
    | dict.fromkeys(
        ("GET", "BINGET", "LONG_BINGET"), lambda own, index: own._push(own._memo[index])
    )
    | dict.fromkeys(
        ("PUT", "BINPUT", "LONG_BINPUT"),
        lambda own, index: own._memo.update({index: own._stack[-1]}),
    )
    | dict.fromkeys(("PROTO", "FRAME"), lambda own, _: None)
    | {
        "STOP": _stop,
        "NONE": lambda own, _: own._push(None),
        "NEWTRUE": lambda own, _: own._push(True),
        "NEWFALSE": lambda own, _: own._push(False),
        "EMPTY_LIST": lambda own, _: own._push([]),
        "EMPTY_TUPLE": lambda own, _: own._push(()),
        "EMPTY_DICT": lambda own, _: own._push({}),
        "MEMOIZE": lambda own, _: own._memo.update({len(own._memo): own._stack[-1]}),
        "MARK": lambda own, _: own._marks.append(len(own._stack)),
        "POP": lambda own, _: own._stack.pop(),
        "POP_MARK": lambda own, _: own._marked(),
        "TUPLE": lambda own, _: own._push(tuple(own._marked())),
        "TUPLE1": lambda own, _: own._push(tuple(own._last(1))),
        "TUPLE2": lambda own, _: own._push(tuple(own._last(2))),
        "TUPLE3": lambda own, _: own._push(tuple(own._last(3))),
        "LIST": lambda own, _: own._push(own._marked()),
        "APPEND": lambda own, _: own._append(own._last(1)),
        "APPENDS": lambda own, _: own._append(own._marked()),
        "DICT": lambda own, _: own._dictionary(own._marked()),
        "SETITEM": lambda own, _: own._set_items(own._last(2)),
        "SETITEMS": lambda own, _: own._set_items(own._marked()),
        "GLOBAL": lambda own, names: own._name(*names.split(" ")),
        "STACK_GLOBAL": lambda own, _: own._name(*own._last(2)),
        "REDUCE": lambda own, _: own._call(),
        "NEWOBJ": lambda own, _: own._call(),
        "BUILD": lambda own, _: own._build(),
        "BINPERSID": lambda own, _: own._outside(),
    }
)
