"""Pickles: what the published files hold is read, and whatever else a file asks for is refused."""

import pickle
import struct

import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.pickles import array, read_pickle

scipy_sparse = pytest.importorskip("scipy.sparse")


def read(tmp_path, data):
    path = tmp_path / "x.pkl"
    path.write_bytes(data if isinstance(data, bytes) else pickle.dumps(data))
    return read_pickle(path)


@pytest.mark.parametrize("protocol", range(6))
def test_values_arrays_and_matrices_of_every_protocol(tmp_path, protocol):
    arrays = {
        "c": np.arange(6.0).reshape(2, 3),
        "fortran": np.asfortranarray(np.arange(6, dtype=">i2").reshape(2, 3)),
        "empty": np.zeros((0, 3)),
        "objects": np.array([1, "a", None], object),
        "texts": np.array(["ab", "c"]),
        "number": np.float32(3),
    }
    plain = {"flag": True, "pair": (1, 2), "list": [1.5, (3,)], 7: b"\xff\0", "text": "\u00e9"}
    matrices = {
        kind: scipy_sparse.coo_matrix(np.diag([1.0, 2, 3])).asformat(kind)
        for kind in ("csc", "csr", "coo")
    }
    found = read(tmp_path, pickle.dumps(arrays | plain | matrices, protocol))
    for name, expected in arrays.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype.kind == expected.dtype.kind
    assert {name: found[name] for name in plain} == plain
    for name, expected in matrices.items():
        np.testing.assert_array_equal(array(found[name]), expected.toarray())


def pickled(*parts: bytes) -> bytes:
    """A pickle of a dictionary whose only entry is what the instructions leave on the stack."""
    return b"\x80\x02}U\x01v" + b"".join(parts) + b"s."


def text(value: bytes) -> bytes:
    return b"U" + bytes([len(value)]) + value


EMPTY = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85U\x01b\x87R"


def dtype(name: bytes, *state: bytes) -> bytes:
    made = b"cnumpy\ndtype\n" + text(name) + b"K\0K\x01\x87R"
    return made + (b"(" + b"".join(state) + b"tb" if state else b"")


def filled(kind: bytes, shape: bytes, content: bytes) -> bytes:
    return EMPTY + b"(K\x01" + shape + kind + b"\x89" + content + b"tb"


LITTLE = (
    b"K\x03",
    text(b"<"),
    b"N",
    b"N",
    b"N",
    b"J\xff\xff\xff\xff",
    b"J\xff\xff\xff\xff",
    b"K\0",
)


def test_the_instructions_of_these_tests_make_an_array(tmp_path):
    data = pickled(filled(dtype(b"f4", *LITTLE), b"K\x02\x85", text(struct.pack("<2f", 1, 2))))
    np.testing.assert_array_equal(read(tmp_path, data)["v"], [1, 2])


ADDRESS = text(b"A" * 8)
ALIASED = b"]q\0" + b"".join(b"0]q%c(h%ch%ce" % (n + 1, n, n) for n in range(40))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # An object type whose flags call its items plain: its bytes would be taken for addresses.
        (filled(dtype(b"O8", *LITTLE), b"K\x01\x85", ADDRESS), "other contents"),
        (filled(dtype(b"O8"), b"K\x01\x85", ADDRESS), "other contents"),
        # Items of fields beyond their size, parts of parts, alignment 0.
        (dtype(b"V8", b"K\x03", text(b"|"), b"N", text(b"a") + b"\x85", b"}", b"K\x08tb"), "type"),
        (
            dtype(b"f8", b"K\x03", text(b"<"), b"K\x01", b"N", b"N", b"K\x08", b"K\0"),
            "made-up type",
        ),
        (filled(dtype(b"U1", *LITTLE), b"K\x01\x85", text(b"\xff" * 4)), "do not exist"),
        # Shapes that ask for more than is there.
        (filled(dtype(b"f8", *LITTLE), b"J\xff\xff\xff\x7f\x85", ADDRESS), "other contents"),
        (filled(dtype(b"f8", *LITTLE), b"J\xff\xff\xff\xff\x85", ADDRESS), "a side of -1"),
        (filled(dtype(b"f8", *LITTLE), b"J\0\0\0\x7fJ\0\0\0\x7f\x86", ADDRESS), "other contents"),
        (b"]}b", "sets the state"),
        (b"cos\nsystem\n" + text(b"true") + b"\x85R", "asks for os.system"),
        (b"cnumpy\nndarray\n)R", "calls what is no function"),
        (b"c__builtin__\nobject\n)\x81", "calls what is no function"),
        (b"(" + text(b"a") + b"ios\nsystem\n", "instruction INST"),
        (b"}" + b")" + b"\x85" * 9 + b"Ns", "keys that are neither"),
        (b"\x8b" + struct.pack("<i", 40) + b"\x01" * 40, "more than 128 bits"),
        (b"B" + struct.pack("<i", 0x7FFFFFFF), "asks for a value"),
        (b"]" + b"\x85" * 100, "nested too deep"),
        (ALIASED, "unfolds to too much"),
        (b"]q\0h\0a", "nested too deep"),
    ],
)
def test_what_is_not_needed_is_refused(tmp_path, data, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, pickled(data))
    assert "x.pkl" in str(error.value)


def test_a_place_in_the_memo_takes_no_more_than_others(tmp_path):
    assert read(tmp_path, b"\x80\x02}r\xff\xff\xff\x7f.") == {}


@pytest.mark.parametrize("repeated", [b"0]", b"0c_codecs\nencode\nh\0\x85R"])
def test_what_a_file_may_make_is_bounded(tmp_path, monkeypatch, repeated):
    monkeypatch.setattr("cmr_ros.files.pickle_machine._MAX_MEMORY", 10_000_000)
    start = b"X" + struct.pack("<i", 100_000) + b"a" * 100_000 + b"q\0"
    with pytest.raises(InputError, match="unpacks to more"):
        read(tmp_path, pickled(start, repeated * 100_000))


@pytest.mark.parametrize(
    "spoil",
    [
        {"indptr": np.array([0, 1 << 40, 3, 3])},
        {"indptr": np.array([0, -1, 3, 3])},
        {"indices": np.array([0, 1, 99])},
        {"indices": np.array([0.0, 1.0, 2.0])},
        {"_shape": (1 << 20, 1 << 20)},
        {"data": [1, 2, 3]},
    ],
)
def test_matrices_that_do_not_fit_together(tmp_path, spoil):
    matrix = scipy_sparse.csc_matrix(np.eye(3))
    vars(matrix).update(spoil)
    found = read(tmp_path, {"m": matrix})["m"]
    with pytest.raises(ValueError):
        found.dense()
