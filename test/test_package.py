"""The package as others get it: the wheel and package.xml."""

import email
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import venv
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest

import cmr_ros
from support.shared import ROOT
from support.sources import ROS_MODULES, SOURCES, imports

#: Distributions that are not called like the module they bring.
DISTRIBUTIONS = {
    "backports": "backports.zstd",
    "compression": "backports.zstd",  # from Python 3.14 on the standard library's
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "foxglove": "foxglove-sdk",
    "mpl_toolkits": "matplotlib",
    "onnx_ir": "onnx-ir",
    "rerun": "rerun-sdk",
    "tensorflow": "tensorflow-cpu",
    "yaml": "pyyaml",
}


def requires_build_tools():
    missing = [tool for tool in ("cmake", "cc", "c++") if shutil.which(tool) is None]
    missing += [
        module
        for module in ("rosidl_pycommon", "catkin_pkg", "setuptools", "pip")
        if importlib.util.find_spec(module) is None
    ]
    if missing:
        pytest.skip(f"building the wheel needs {', '.join(missing)}")


def build_wheel(tree: Path, target: Path, **environment: str) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-build-isolation", "--no-deps"]
    done = subprocess.run(
        [*command, "--wheel-dir", str(target), str(tree)],
        env={**os.environ, "AMENT_PREFIX_PATH": "", **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    (wheel,) = target.glob("*.whl")
    return wheel


@pytest.fixture(scope="session")
def tree(tmp_path_factory):
    """Copy the checkout, so that a build here does not disturb another one."""
    requires_build_tools()
    copy = tmp_path_factory.mktemp("package") / "cmr_ros"
    names = shutil.ignore_patterns(
        ".*", "build", "install", "log", "dist", "runs", "demo_out", "shared", "__pycache__"
    )
    shutil.copytree(ROOT, copy, ignore=names)
    return copy


@pytest.fixture(scope="session")
def wheel(tree, tmp_path_factory):
    return build_wheel(tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def installed(wheel, tmp_path_factory):
    """Install the wheel into an environment of its own that borrows only its dependencies."""
    prefix = tmp_path_factory.mktemp("environment")
    venv.create(prefix, with_pip=False, symlinks=True)
    (site,) = prefix.glob("lib/python*/site-packages")
    borrowed = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    pip = [sys.executable, "-m", "pip", "--python", str(prefix / "bin/python")]
    # --ignore-installed: or pip would replace the copy in the environment that lends.
    subprocess.run(
        [*pip, "install", "--quiet", "--no-deps", "--ignore-installed", str(wheel)], check=True
    )
    return prefix


def run_installed(installed: Path, *command: str) -> subprocess.CompletedProcess:
    """Run a command of the installed package, far from the checkout."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    libraries = [str(installed / "lib"), os.environ.get("LD_LIBRARY_PATH", "")]
    environment["LD_LIBRARY_PATH"] = os.pathsep.join(libraries)
    environment["PATH"] = os.pathsep.join([str(installed / "bin"), os.environ["PATH"]])
    return subprocess.run(
        [str(installed / command[0]), *command[1:]],
        cwd=installed,
        env=environment,
        capture_output=True,
        text=True,
    )


def names_in(wheel: Path) -> set[str]:
    """List a wheel's files as they lie in the environment: relative to prefix or site-packages."""
    with zipfile.ZipFile(wheel) as archive:
        return {re.sub(r"^[^/]+\.data/data/", "", name) for name in archive.namelist()}


def files_of(tree: Path, *folders: str) -> set[str]:
    files = (path for folder in folders for path in (tree / folder).rglob("*") if path.is_file())
    return {str(path.relative_to(tree)) for path in files if path.suffix != ".pyc"}


def test_wheel_holds_sources_messages_and_share(tree, wheel):
    names = names_in(wheel)
    assert files_of(tree, "cmr_ros") <= names
    shared = files_of(tree, "config", "launch", "msg", "weights")
    assert {f"share/cmr_ros/{path}" for path in shared} <= names
    assert {
        "cmr_ros/py.typed",
        "cmr_ros/msg/__init__.py",
        "cmr_ros/msg/_hand_mesh_array.py",
        "lib/cmr_ros/cmr",
        "lib/cmr_ros/hand_node",
        "lib/libcmr_ros__rosidl_typesupport_fastrtps_c.so",
        "share/ament_index/resource_index/packages/cmr_ros",
        "share/ament_index/resource_index/rosidl_interfaces/cmr_ros",
        "share/cmr_ros/package.xml",
    } <= names
    assert "tf2_msgs/msg/_tf_message.py" in names
    assert not [name for name in names if name.startswith(("test/", "cmake/")) or "/tmp" in name]


def test_wheel_carries_our_init_and_an_honest_tag(wheel):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}"
    assert f"-{tag}-{tag}-linux_" in wheel.name
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("cmr_ros/__init__.py") == (ROOT / "cmr_ros/__init__.py").read_bytes()


def requirements_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return email.message_from_bytes(archive.read(name)).get_all("Requires-Dist")


def test_every_import_is_a_declared_requirement(wheel):
    declared = {re.match(r"[\w.-]+", line)[0].lower() for line in requirements_of(wheel)}
    imported = {module.split(".")[0] for path in SOURCES for module, _ in imports(path)}
    foreign = {
        module
        for module in imported - sys.stdlib_module_names - {"cmr_ros", "mediapipe"}  # `make peers`
        if not ROS_MODULES.match(module)  # those are package.xml's, see below
    }
    assert {DISTRIBUTIONS.get(module, module.lower()) for module in foreign} <= declared


def test_a_base_install_leaves_ros_and_the_engine_alone(wheel):
    requirements = requirements_of(wheel)
    base = [requirement for requirement in requirements if "extra ==" not in requirement]
    assert {re.match(r"[\w-]+", line)[0] for line in base} == {
        "numpy",
        "opencv-python-headless",
        "PyYAML",
    }
    engines = {"cpu": "onnxruntime>", "gpu": "onnxruntime-gpu>"}
    for extra, engine in engines.items():
        wanted = [line for line in requirements if f'extra == "{extra}"' in line]
        assert [line for line in wanted if line.startswith(engine)] == wanted != []


def test_a_real_tf2_msgs_is_never_shadowed(tree, wheel, tmp_path):
    real = tmp_path / "real"
    (real / "tf2_msgs").mkdir(parents=True)
    (real / "tf2_msgs/__init__.py").touch()
    rebuilt = build_wheel(tree, tmp_path / "wheel", PYTHONPATH=str(real))
    assert not [name for name in names_in(rebuilt) if "tf2_msgs" in name]


def test_command_line_runs_when_installed(installed):
    done = run_installed(installed, "bin/cmr", "--help")
    assert done.returncode == 0, done.stderr
    assert "infer" in done.stdout


def test_messages_and_sources_import_when_installed(installed):
    code = (
        "import cmr_ros.hand, cmr_ros.msg, rclpy.serialization as s; m = cmr_ros.msg;"
        "hands = m.HandMeshArray(hands=[m.HandMesh(track_id=7, vertices=[1.0, 2.0, 3.0])]);"
        "back = s.deserialize_message(s.serialize_message(hands), m.HandMeshArray);"
        "assert back == hands;"
        "print(cmr_ros.__file__, cmr_ros.geometry.camera.__file__, cmr_ros.msg.__file__, sep='\\n')"
    )
    done = run_installed(installed, "bin/python", "-c", code)
    assert done.returncode == 0, done.stderr
    assert all(line.startswith(str(installed)) for line in done.stdout.split())


def test_node_is_where_ros2_run_looks_for_it(installed):
    node = installed / "lib/cmr_ros/hand_node"
    assert os.access(node, os.X_OK)
    assert node.read_text().startswith("#!/usr/bin/env python3")


def test_versions_agree():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    project = (ROOT / "pyproject.toml").read_text()
    assert manifest.findtext("version") == cmr_ros.__version__
    assert re.search(r'^version = "(.+)"$', project, re.M)[1] == cmr_ros.__version__


@pytest.mark.parametrize("manifest", ["package.xml", "cmake/tf2_msgs/package.xml"])
def test_package_xml_is_valid(manifest):
    catkin_pkg = pytest.importorskip("catkin_pkg.package")
    warnings = []
    package = catkin_pkg.parse_package(str(ROOT / manifest), warnings=warnings)
    package.validate(warnings=warnings)
    assert warnings == []
    assert package.get_build_type() == "ament_cmake"


def test_package_xml_names_every_ros_package_used():
    manifest = ElementTree.parse(ROOT / "package.xml").getroot()
    declared = {tag.text for name in ("depend", "exec_depend") for tag in manifest.iter(name)}
    files = [*SOURCES, *(ROOT / "launch").glob("*.py")]
    used = {
        module.split(".")[0]
        for path in files
        for module, _ in imports(path)
        if ROS_MODULES.match(module)
    }
    assert used <= declared


def test_the_stand_in_for_tf2_msgs_is_hidden_from_colcon():
    assert (ROOT / "cmake/tf2_msgs/COLCON_IGNORE").exists()
