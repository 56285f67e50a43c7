"""The quick part of scripts/hostile.py: each hostile file ends in one message, in this process."""

import pytest

from cmr_ros.cli import main
from support.scripts import script

files = script("hostile_files")


@pytest.mark.parametrize("kind", ["images", "calibrations", "cards", "templates", "places"])
@pytest.mark.timeout(200)
def test_hostile_files_are_answered_by_one_message(kind, tmp_path, capfd):
    image = tmp_path / "image.jpg"
    image.write_bytes(files.jpeg())
    for number, (name, content, command) in enumerate(getattr(files, kind)()):
        path = tmp_path / f"hostile{number}"
        content(path) if callable(content) else path.write_bytes(content)
        values = {"{}": str(path), "{image}": str(image), "{out}": str(tmp_path / "out")}
        status = main([values.get(part, part) for part in command])
        lines = capfd.readouterr().err.splitlines()
        assert status in (0, 2), name
        if status == 2:
            assert len(lines) == 1 and lines[0].startswith(f"cmr {command[0]}: "), (name, lines)
            assert len(lines[0]) < 700, name
