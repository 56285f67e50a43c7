"""What others may rely on: exported names, and what holds for every public class and function."""

import ast
import pydoc
import subprocess
import sys

import numpy as np
import pytest

import cmr_ros
from cmr_ros.errors import reason
from support.shared import ROOT
from support.sources import SOURCES


def test_exported_names_load_on_demand_and_show_in_help():
    code = (
        "import sys, cmr_ros; assert not {'cv2', 'numpy', 'onnxruntime'} & set(sys.modules);"
        "assert set(cmr_ros.__all__) <= set(dir(cmr_ros));"
        "cmr_ros.InputError, cmr_ros.Handedness.LEFT; assert 'cv2' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    shown = pydoc.plain(pydoc.render_doc(cmr_ros))
    for name in cmr_ros.__all__:
        assert getattr(cmr_ros, name).__name__ == name
        assert name in shown
    with pytest.raises(AttributeError, match="no attribute 'hands'"):
        cmr_ros.hands  # noqa: B018


def test_cameras_can_be_compared_and_put_into_sets():
    camera, other = (cmr_ros.Camera.from_fov(640, 480, 60) for _ in range(2))
    assert camera == camera and camera != other and {camera, other} == {other, camera}
    assert np.array_equal(camera.matrix, other.matrix)


def test_no_dataclass_compares_arrays():
    """Comparing arrays gives an array, so that == and hash() of a generated __eq__ raise."""
    guilty = [
        f"{path.relative_to(ROOT)}: {node.name}"
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ClassDef) and _holds_arrays(node)
        for decorator in map(ast.unparse, node.decorator_list)
        if decorator.startswith("dataclass") and "eq=False" not in decorator
    ]
    assert guilty == []


def _holds_arrays(node):
    fields = [ast.unparse(part.annotation) for part in node.body if isinstance(part, ast.AnnAssign)]
    return any("ndarray" in field or "Tensor" in field for field in fields)


def test_public_functions_with_more_than_three_parameters_document_each():
    """That an Args section is complete is ruff's to check (D417); here: that there is one."""
    guilty = [
        f"{path.relative_to(ROOT)}: {function.name}"
        for path in SOURCES
        for function in _public_functions(ast.parse(path.read_text()))
        if len(_parameters(function)) > 3 and "Args:\n" not in (ast.get_docstring(function) or "")
    ]
    assert guilty == []


def _public_functions(scope):
    for node in scope.body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from _public_functions(node)
        if isinstance(node, ast.FunctionDef):
            if not node.name.startswith("_") or node.name in ("__init__", "__call__"):
                yield node


def _parameters(function):
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return [name for name in names if name not in ("self", "cls")]


@pytest.mark.parametrize(
    "error, line",
    [
        (ValueError("first\nsecond"), "first"),
        (KeyError(), "KeyError"),
        (ValueError(""), "ValueError"),
    ],
)
def test_the_reason_of_an_error_is_one_line(error, line):
    assert reason(error) == line
