"""Build with CMake, as `colcon build` does, and hand the result over as a wheel."""

import os
import shutil
import sys
import sysconfig
from importlib.metadata import distributions
from importlib.util import find_spec
from pathlib import Path
from subprocess import check_call

from setuptools import Distribution, Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()


class CMakeBuild(build_ext):
    """CMake installs into a prefix; its Python packages become ours, all else data files."""

    def run(self):
        if self.editable_mode:
            sys.exit("cmr_ros: no editable install; `make setup`, then run from the checkout")
        ros = ros_prefix()
        prefix = Path(self.build_temp, "prefix").resolve()
        shutil.rmtree(prefix, ignore_errors=True)
        self._install(ROOT, prefix, ros)
        if not has_real_tf2_msgs():
            self._install(ROOT / "cmake/tf2_msgs", prefix, ros)
        self._collect(prefix)

    def _install(self, source: Path, prefix: Path, ros: Path):
        build = Path(self.build_temp, source.name).resolve()
        used = build / "ros_prefix"
        if not used.exists() or used.read_text() != str(ros):
            # CMake's cache would go on pointing to an environment that pip has thrown away.
            shutil.rmtree(build, ignore_errors=True)
        options = {
            "BUILD_TESTING": "OFF",
            "CMAKE_BUILD_TYPE": os.environ.get("CMAKE_BUILD_TYPE", "Release"),
            "CMAKE_INSTALL_PREFIX": prefix,
            "PYTHON_INSTALL_DIR": "python",
            "Python3_EXECUTABLE": sys.executable,
        }
        defines = [f"-D{name}={value}" for name, value in options.items()]
        check_call(["cmake", "-S", str(source), "-B", str(build), *defines])
        check_call(["cmake", "--build", str(build), "--parallel", str(os.cpu_count())])
        check_call(["cmake", "--install", str(build)])
        used.write_text(str(ros))

    def _collect(self, prefix: Path):
        shutil.rmtree(self.build_lib, ignore_errors=True)  # else what was removed stays in
        for init in (prefix / "python").glob("*/__init__.py"):
            package = Path(self.build_lib, init.parent.name)
            shutil.copytree(init.parent, package, ignore=shutil.ignore_patterns("*.c", "*.pyc"))
        shutil.rmtree(prefix / "python")
        # The environment gets what a ROS prefix has (lib, share, include), less the scripts that
        # would set it up: a virtual environment has its own, and these know another Python folder.
        for script in [*prefix.glob("share/*/local_setup.*"), *prefix.glob("share/*/package.dsv")]:
            script.unlink()
        for folder in prefix.glob("share/*/environment"):
            shutil.rmtree(folder)
        self.distribution.data_files = [
            (str(folder.relative_to(prefix)), [str(f) for f in folder.iterdir() if f.is_file()])
            for folder in prefix.rglob("*")
            if folder.is_dir()
        ]


class BinaryDistribution(Distribution):
    """The messages are compiled: one wheel fits one Python on one platform."""

    def has_ext_modules(self):
        return True


def ros_prefix() -> Path:
    """Where this Python's message generators are installed: a wheel environment or ROS."""
    generators = find_spec("rosidl_pycommon")
    if generators is None:
        sys.exit(
            "cmr_ros: this Python has no ROS 2 message generators; source a ROS installation, "
            "or let pip bring them (without --no-build-isolation)"
        )
    prefix = Path(generators.origin).parents[4]
    sourced = [Path(p) for p in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if p]
    other = [p for p in sourced if (p / "share/rosidl_cmake").is_dir() and p != prefix]
    if other:
        # Messages compiled for one ROS distribution crash in another.
        sys.exit(
            f"cmr_ros: ROS is sourced from {other[0]}; build with colcon, "
            "or with pip install --no-build-isolation"
        )
    return prefix


def has_real_tf2_msgs() -> bool:
    """Whether somebody else than an earlier build of this package provides tf2_msgs."""
    site = sysconfig.get_path("platlib")  # pip's isolation hides it from find_spec
    ours = {
        str(path)
        for installed in distributions(name="cmr_ros", path=[site])
        for path in installed.files or ()
    }
    found = find_spec("tf2_msgs")
    places = {found.origin} if found else set()
    places |= {str(path) for path in Path(site).glob("tf2_msgs/__init__.py")}
    return any(os.path.relpath(path, site) not in ours for path in places)


setup(
    cmdclass={"build_ext": CMakeBuild},
    distclass=BinaryDistribution,
    ext_modules=[Extension("cmr_ros.msg", sources=[])],  # so that build_ext runs at all
)
