"""Build the package with CMake, as `colcon build` does, and hand the result over as a wheel."""

import os
import shutil
import sys
import sysconfig
from importlib.metadata import distributions
from pathlib import Path
from subprocess import check_call

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    """Run CMake in place of a compiler: its Python part becomes packages, the rest data files."""

    def run(self):
        prefix = Path(self.build_temp).resolve() / "prefix"
        shutil.rmtree(prefix, ignore_errors=True)
        self._cmake(ROOT, prefix)
        if not _has_tf2_msgs():
            self._cmake(ROOT / "cmake/tf2_msgs", prefix)
        for package in (prefix / "python").glob("*/__init__.py"):
            name = package.parent.name
            shutil.copytree(package.parent, Path(self.build_lib, name), dirs_exist_ok=True)
        shutil.rmtree(prefix / "python")
        # The environment's prefix gets what a ROS prefix has: lib, share, include.
        self.distribution.data_files = [
            (str(folder.relative_to(prefix)), [str(f) for f in folder.iterdir() if f.is_file()])
            for folder in prefix.glob("**/")
            if folder != prefix
        ]

    def _cmake(self, source: Path, prefix: Path):
        build = Path(self.build_temp).resolve() / source.name
        shutil.rmtree(build, ignore_errors=True)  # its cache names another build environment
        options = {
            "BUILD_TESTING": "OFF",
            "CMAKE_BUILD_TYPE": "Release",
            "CMAKE_INSTALL_PREFIX": prefix,
            "PYTHON_INSTALL_DIR": "python",
            "Python3_EXECUTABLE": sys.executable,
        }
        if not os.environ.get("AMENT_PREFIX_PATH"):
            options["CMAKE_PROJECT_INCLUDE"] = ROOT / "cmake/wheels.cmake"
        defines = [f"-D{key}={value}" for key, value in options.items()]
        check_call(["cmake", "-S", str(source), "-B", str(build), *defines])
        check_call(["cmake", "--build", str(build), "--parallel", str(os.cpu_count())])
        check_call(["cmake", "--install", str(build)])


def _has_tf2_msgs() -> bool:
    return False


class BinaryDistribution(Distribution):
    """Messages are compiled: the wheel fits one Python and one platform."""

    def has_ext_modules(self):
        return True


setup(cmdclass={"build_ext": CMakeBuild}, distclass=BinaryDistribution, ext_modules=[Extension("cmr_ros", [])])
