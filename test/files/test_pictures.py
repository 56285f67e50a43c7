"""Pictures in files and messages: what is damaged, and who may write to the error output."""

import os
import subprocess
import sys
import threading

import cv2
import numpy as np
import pytest

from cmr_ros.errors import InputError
from cmr_ros.files.pictures import decode, quiet

NOISE = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)


def coded(ending):
    return cv2.imencode(ending, NOISE)[1].tobytes()


def damaged_png():
    data = bytearray(coded(".png"))
    data[len(data) // 2] ^= 255
    return bytes(data)


@pytest.mark.parametrize("data", [damaged_png(), coded(".jpg")[:2000]], ids=["png", "jpeg"])
def test_codecs_say_nothing_of_their_own(capfd, data):
    try:
        decode(data)
    except InputError as error:
        assert "JPEG or PNG" in str(error)
    assert capfd.readouterr().err == ""


def test_what_others_say_meanwhile_is_kept(capfd):
    with quiet(), quiet():
        os.write(2, b"libpng error: of no file\nanother thread\n[mov,mp4 @ 0x5e] no moov\nlast")
    assert capfd.readouterr().err == "another thread\nlast"


def test_threads_give_the_error_output_back(capfd):
    threads = [threading.Thread(target=decode, args=(coded(".jpg"),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    os.write(2, b"still here")
    assert capfd.readouterr().err == "still here"


def test_a_process_without_error_output_reads_images():
    code = "from cmr_ros.files.pictures import decode; import sys; decode(sys.stdin.buffer.read())"
    process = subprocess.run(
        ["sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, code], input=coded(".png")
    )
    assert process.returncode == 0
