"""The package's source files and what they import."""

import ast
import re
from pathlib import Path

from support.shared import ROOT

SOURCES = sorted((ROOT / "cmr_ros").rglob("*.py"))
ROS_MODULES = re.compile(
    r"(rclpy|rosidl\w*|cv_bridge|tf2_\w+|launch\w*|\w+_(msgs|srvs|interfaces))(\.|$)"
)


def imports(path: Path) -> set[tuple[str, bool]]:
    """List the modules a file imports: (full name, at the top of the file?)."""
    found = set()
    parsed = ast.parse(path.read_text())
    for node in ast.walk(parsed):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        found |= {(module, node in parsed.body) for module in modules}
    return found
