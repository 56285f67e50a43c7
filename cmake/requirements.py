"""Print what pyproject.toml requires, a line each: `build`, or the names of extras, by commas.

pip installs requirements of a build, or of a project without the project, from such a list alone.
"""

import sys
from importlib import import_module

toml = import_module("tomllib" if sys.version_info >= (3, 11) else "pip._vendor.tomli")
with open("pyproject.toml", "rb") as file:
    declared = toml.load(file)
if sys.argv[1] == "build":
    print(*declared["build-system"]["requires"], sep="\n")
else:
    project = declared["project"]
    extras = [project["optional-dependencies"][name] for name in sys.argv[1].split(",")]
    print(*project["dependencies"], *(one for extra in extras for one in extra), sep="\n")
