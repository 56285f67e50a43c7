"""Hostile and broken files for the commands, as code: the same in each run."""

from __future__ import annotations

import io
import json
import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
#: Name of the case, content of its file or what makes it, and the command line: {} stands for the
#: file, {image} for a good image, {out} for a file or folder to write.
Case = tuple[str, "bytes | Callable[[Path], None]", list[str]]
INFER = ["infer", "{}", "--hfov", "60"]


def cases() -> Iterator[Case]:
    """Yield the files, the same in each run."""
    yield from images()
    yield from calibrations()
    yield from cards()
    yield from templates()
    yield from pickles()
    yield from predictions()
    yield from recordings()
    yield from places()


def png(width: int, height: int, kind: int = 2, depth: int = 8, rows: int = 4) -> bytes:
    """Return a PNG of any claimed size, most of whose rows are missing."""
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(rows * min(width, 1 << 16) * 3), 9)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in parts
    )


def jpeg(*options: int) -> bytes:
    """Return a small JPEG."""
    import cv2

    picture = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)
    return cv2.imencode(".jpg", picture, options)[1].tobytes()


def claimed(data: bytes, width: int, height: int) -> bytes:
    """Return a JPEG that claims another size."""
    at = max(data.find(b"\xff\xc0"), data.find(b"\xff\xc2"))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def images() -> Iterator[Case]:
    """Yield images that claim much, are damaged, or are none."""
    progressive = jpeg(2, 1)  # 2: IMWRITE_JPEG_PROGRESSIVE
    scan = progressive[progressive.rindex(b"\xff\xda") : -2]
    bombs = {
        "PNG of 32766x32766": png(32766, 32766),
        "PNG of 65535x900": png(65535, 900),
        "PNG of 64 megapixels": png(8000, 8000),
        "PNG of 60 megapixels, 16 bits RGBA": png(8000, 7500, 6, 16),
        "PNG of 0x0": png(0, 0),
        "JPEG of 32000x32000": claimed(jpeg(), 32000, 32000),
        "JPEG of 64 megapixels": claimed(jpeg(), 8000, 8000),
        "progressive JPEG of 64 megapixels": claimed(progressive, 8000, 8000),
        "JPEG of 5000 scans": progressive[:-2] + scan * 5000 + b"\xff\xd9",
        "JPEG of 0x0": claimed(jpeg(), 0, 0),
        "GIF of 65535x65535": b"GIF89a\xff\xff\xff\xff\xf7\0\0" + bytes(30),
        "BMP of 30000x30000": b"BM" + bytes(12) + struct.pack("<IiiHH", 40, 30000, 30000, 1, 24),
        "WebP of 16384x16384": b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0" + bytes(4) + b"\xff\x3f\0" * 2,
        "TIFF of 2^30": b"II*\0\x08\0\0\0\x02\0"
        + struct.pack("<HHIIHHIII", 256, 4, 1, 1 << 30, 257, 4, 1, 1 << 30, 0),
        "no image": b"text",
        "empty image": b"",
    }
    for name, data in bombs.items():
        yield name, data, INFER
    rng = np.random.default_rng(1)
    for number in range(8):
        data = bytearray(jpeg() if number % 2 else png(64, 48, rows=48))
        for place in rng.integers(0, len(data), 6):
            data[place] = rng.integers(256)
        yield f"image with flipped bytes {number}", bytes(data), INFER


def calibrations() -> Iterator[Case]:
    """Yield what is no camera's calibration."""
    alias = "a0: &a0 [1]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{f'*a{n}, ' * 9}]\n" for n in range(10)
    )
    texts = {
        "nested JSON": "[" * 100_000,
        "YAML of aliases": alias + "K: *a10",
        "number to base 60": "K: [" + "1:" * 30_000 + "1]",
        "number of 400 digits": '{"K": [' + "1" * 400 + ",0,0,0,1,0,0,0,1]}",
        "date": "K: 2020-13-45",
        "tag": "K: !!int ''",
        "code": "K: !!python/object/apply:os.system [true]",
        "infinity": "K: [.inf, 0, 1, 0, .inf, 1, 0, 0, 1]",
        "focal length 1e155": "K: [1.0e+155, 0, 1, 0, 1.0e+155, 1, 0, 0, 1]",
        "roi: 5": "K: [1, 0, 1, 0, 1, 1, 0, 0, 1]\nroi: 5",
        "XML of entities": '<!DOCTYPE a [<!ENTITY b "bb">]><a>&b;</a>',
        "large": "#" * (2 << 20),
        "long list": "K: [" + "1, " * 300_000 + "1]",
    }
    for name, text in texts.items():
        yield f"calibration: {name}", text.encode(), [
            "infer", "{image}", "--camera-info", "{}",
        ]  # fmt: skip


def cards() -> Iterator[Case]:
    """Yield model folders whose card is wrong."""
    card = json.loads((ROOT / "weights/hand_mobile/model.json").read_text())
    changes = {
        "input_size 20000": {"input_size": 20000},
        "noise of 1e308": {"noise": {"root_m": 1e308}},
        "noise of 0": {"noise": {"root_m": 0}},
        "crop_margin as text": {"crop_margin": "1.3"},
        "an output too many": {"outputs": [*card["outputs"], "depth"]},
        "an output that is a number": {"outputs": [*card["outputs"], 5]},
        "name as a list": {"name": []},
        "mean of text": {"mean": ["a", "b", "c"]},
        "std of 0": {"std": [0, 0, 0]},
        "scale of 400 digits": {"scale_m": 10**400},
        "crop as a list": {"crop": ["virtual"]},
    }
    contents = {name: json.dumps(card | change).encode() for name, change in changes.items()}
    contents |= {"nested": b"[" * 100_000, "none": b"", "an array": b"[1]", "not text": b"\xff\xfe"}
    for name, data in contents.items():
        yield f"card: {name}", _model_with("model.json", data), [
            "infer", "{image}", "--hfov", "60", "--model", "{}",
        ]  # fmt: skip
    for name, data in (("none", b""), ("text", b"text"), ("half", b"\x08\x0a" * 5000)):
        yield f"network: {name}", _model_with("model.onnx", data), [
            "infer", "{image}", "--hfov", "60", "--model", "{}",
        ]  # fmt: skip


def _model_with(name: str, data: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for source in (ROOT / "weights/hand_mobile").iterdir():
            (path / source.name).symlink_to(source)
        (path / name).unlink()
        (path / name).write_bytes(data)

    return make


def templates() -> Iterator[Case]:
    """Yield archives of arrays that unpack to much, or hold something else."""
    header = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}"
    claim = b"\x93NUMPY\x01\0v\0" + header.encode().ljust(117) + b"\n"
    plain = io.BytesIO()
    np.save(plain, np.zeros(3))
    objects = io.BytesIO()
    np.save(objects, np.array([{}], object), allow_pickle=True)
    archives = {
        "8 TB": (claim, zipfile.ZIP_STORED),
        "zeros of 300 MB": (bytes(300 << 20), zipfile.ZIP_DEFLATED),
        "LZMA": (plain.getvalue(), zipfile.ZIP_LZMA),
        "objects": (objects.getvalue(), zipfile.ZIP_STORED),
        "one array": (plain.getvalue(), zipfile.ZIP_STORED),
        "text": (b"text", zipfile.ZIP_STORED),
    }
    for name, (data, method) in archives.items():
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", method) as archive:
            archive.writestr("vertices0.npy", data)
        yield f"template: {name}", file.getvalue(), ["template", "info", "{}"]
    whole = (ROOT / "weights/hand_mobile/template.npz").read_bytes()
    rng = np.random.default_rng(2)
    for number in range(8):
        data = bytearray(whole)
        data[rng.integers(len(data))] ^= 0xFF
        yield f"template with a flipped byte {number}", bytes(data), ["template", "info", "{}"]
    yield "half a template", whole[: len(whole) // 2], ["template", "info", "{}"]


def pickles() -> Iterator[Case]:
    """Yield pickles that run code, choose addresses, nest or grow, bare and as checkpoints."""
    text = struct.pack("<i", 50_000_000)
    contents = {
        "code": b"cos\nsystem\n(S'true'\ntR.",
        "an address": b"\x80\x02}U\x01vcnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\n"
        b"K\0\x85U\x01b\x87R(K\x01K\x01\x85cnumpy\ndtype\nU\x02O8K\0K\x01\x87R(K\x03U\x01|NNNK\x08"
        b"K\x01K\0tb\x89U\x08AAAAAAAAtbs.",
        "memo at 2^29": b"\x80\x02}r\0\0\0\x20.",
        "a million nested tuples": b"\x80\x02}U\x01v)" + b"\x85" * 1_000_000 + b"s.",
        "lists that hold each other": b"\x80\x02}U\x01v]q\0h\0as.",
        "five million lists": b"\x80\x02}" + b"]0" * 5_000_000 + b".",
        "texts of 50 MB again and again": b"\x80\x02}X"
        + text
        + b"a" * 50_000_000
        + b"q\0"
        + b"0c_codecs\nencode\nh\0\x85R" * 100
        + b"0.",
        "a text of 2 GB": b"\x80\x02}X" + struct.pack("<i", 0x7FFFFFFF) + b"a.",
        "cut off": pickle.dumps({"a": list(range(1000))})[:-10],
        "a list": pickle.dumps([1, 2]),
        "empty": b"",
    }
    for name, data in contents.items():
        yield f"pickle: {name}", _folder(**{"transform.pkl": data}), [
            "import-checkpoint", "{image}", "--variant", "sg_mobile", "--template", "{}",
            "-o", "{out}",
        ]  # fmt: skip
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("archive/data.pkl", data)
        yield f"checkpoint: {name}", file.getvalue(), [
            "import-checkpoint", "{}", "--variant", "sg_mobile",
            "--template", str(ROOT / "weights/hand_mobile/template.npz"), "-o", "{out}",
        ]  # fmt: skip


def _folder(**files: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.mkdir()
        for name, data in files.items():
            (path / name).write_bytes(data)

    return make


def predictions() -> Iterator[Case]:
    """Yield data sets that are none."""
    good = {"image": "a.png", "width": 64, "height": 48, "K": np.eye(3).tolist(),
            "handedness": "left", "joints_m": np.ones((21, 3)).tolist()}  # fmt: skip
    contents = {
        "nested": b"[" * 100_000,
        "number of 5000 digits": b'{"images": ' + b"1" * 5000 + b"}",
        "no list": b'{"images": 5}',
        "no images": b'{"images": []}',
        "an entry that is none": b'{"images": [5]}',
        "infinite": json.dumps({"images": [good | {"K": [[1e400] * 3] * 3}]}).encode(),
        "text": json.dumps({"images": [good | {"joints_m": "x"}]}).encode(),
        "long name": json.dumps({"images": [good | {"image": "n" * 5000}]}).encode(),
        "a folder as image": json.dumps({"images": [good | {"image": ".."}]}).encode(),
        "millions of lists": b'{"images": [' + b"[]," * 12_000_000 + b"[]]}",
    }
    for name, data in contents.items():
        yield f"manifest: {name}", data, ["evaluate", "{}"]
    yield "FreiHAND of empty lists", _folder(**{
        f"evaluation_{part}.json": b"[]" for part in ("K", "xyz", "verts")
    }), ["evaluate", "{}", "--split", "evaluation"]  # fmt: skip
    for name, content in (("text", b"text"), ("empty", b""), ("level 4", bytes(200))):
        yield f"MATLAB: {name}", _folder(**{"pose_gt.mat": content, "params.mat": content}), [
            "evaluate", "{}",
        ]  # fmt: skip


def recordings() -> Iterator[Case]:
    """Yield recordings that are damaged."""
    whole = (ROOT / "weights/demo.mcap").read_bytes()
    contents = {"bare magic": whole[:8] * 2, "half": whole[: len(whole) // 2], "text": b"text"}
    rng = np.random.default_rng(3)
    (header,) = struct.unpack_from("<Q", whole, 9)
    (chunk,) = struct.unpack_from("<Q", whole, 17 + header + 1)
    few = whole[: 17 + header + 9 + chunk] + _record(2, bytes(20)) + whole[:8]
    for number in range(8):
        data = bytearray(few)
        data[rng.integers(len(data) if number % 2 else 3000)] ^= 0xFF
        contents[f"a flipped byte {number}"] = bytes(data)
    contents["4 GB in a chunk"] = _chunk(bytes(1 << 20), 4096, 4 << 30)
    contents["4 GB in a chunk that claims 1 kB"] = _chunk(bytes(1 << 20), 4096, 1000)
    types = _record(3, struct.pack("<H", 1) + _text("sensor_msgs/msg/CompressedImage") + bytes(8))
    types += _record(4, struct.pack("<HH", 0, 1) + _text("/camera/image_raw/compressed")
                     + _text("cdr") + bytes(4))  # fmt: skip
    image = struct.pack("<HIQQ", 0, 0, 0, 0) + b"\0\1\0\0" + bytes(24)
    alike = _record(5, image) * 10_000
    for count in (19, 99, 400):
        size = count * len(alike)
        contents[f"{count}0000 messages"] = _chunk(alike, count, size, types)
    contents["8 million empty records"] = _chunk(_record(7, b"") * 80_000, 100, 72_000_000, types)
    for name, data in contents.items():
        yield f"recording: {name}", data, ["benchmark", "pipeline", "--recording", "{}"]


def _text(value: str) -> bytes:
    return struct.pack("<I", len(value)) + value.encode()


def _record(opcode: int, data: bytes) -> bytes:
    return struct.pack("<BQ", opcode, len(data)) + data


def _chunk(part: bytes, count: int, size: int, first: bytes = b"") -> bytes:
    """Return a recording in MCAP: `first`, then a chunk that unpacks to equal parts."""
    from backports.zstd import ZstdCompressor

    packer = ZstdCompressor()
    packed = b"".join(packer.compress(part) for _ in range(count)) + packer.flush()
    head = struct.pack("<QQQI", 0, 0, size, 0) + _text("zstd") + struct.pack("<Q", len(packed))
    magic = b"\x89MCAP0\r\n"
    return magic + first + _record(6, head + packed) + _record(2, bytes(20)) + magic


def places() -> Iterator[Case]:
    """Yield names of what is no file."""
    commands = [
        INFER,
        ["infer", "{image}", "--camera-info", "{}"],
        ["infer", "{image}", "--hfov", "60", "--model", "{}"],
        ["template", "info", "{}"],
        ["evaluate", "{}"],
        ["table", "2", "--results", "{}"],
        ["train", "{}"],
    ]
    for command in commands:
        what = " ".join(command[:3:2] if "{}" not in command[:2] else command[:1])
        yield f"pipe for {what}", os.mkfifo, command
        yield f"/dev/zero for {what}", lambda path: path.symlink_to("/dev/zero"), command
        yield (
            f"a name of 5000 characters for {what}",
            b"",
            ["n" * 5000 if part == "{}" else part for part in command],
        )
    for count in ("1000000000", "-1"):
        yield f"--max-hands {count}", jpeg(), [*INFER, "--max-hands", count]
