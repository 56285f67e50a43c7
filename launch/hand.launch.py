"""Start hand_node for one camera, and RViz if asked for.

ros2 launch cmr_ros hand.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
For RGB-D cameras: depth:=/camera/aligned_depth_to_color/image_raw
"""

import os
from pathlib import Path

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction, SetEnvironmentVariable
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

CONFIG = Path(__file__).resolve().parent.parent / "config"

#: Name -> (default, description).  Empty strings leave the parameter file's value alone.
ARGUMENTS = {
    "image": ("image_raw", "image topic, without /compressed"),
    "camera_info": ("camera_info", "camera_info topic"),
    "depth": ("", "topic of the depth image registered to the colour image; empty: none"),
    "namespace": ("", "namespace of the node, one per camera"),
    "transport": ("", "raw or compressed"),
    "engine": ("", "onnxruntime or torch"),
    "providers": ("", "onnxruntime execution providers in order of preference: tensorrt,cuda,cpu"),
    "model": ("", "model folder"),
    "params_file": (str(CONFIG / "hand.yaml"), "parameter file of the node"),
    "rviz": ("false", "true: also start RViz"),
    "fixed_frame": ("camera_optical_frame", "fixed frame of RViz: the frame_id of the images"),
}


def start(context):
    """Return the processes to start, now that the arguments are known."""
    given = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    overrides = {name: given[name] for name in ("transport", "engine", "model") if given[name]}
    if given["providers"]:
        overrides["providers"] = [name.strip() for name in given["providers"].split(",")]
    remappings = [("image_raw", given["image"]), ("camera_info", given["camera_info"])]
    if given["depth"]:
        overrides["use_depth"] = True
        remappings.append(("depth", given["depth"]))
    node = Node(
        package="cmr_ros",
        executable="hand_node",
        namespace=given["namespace"],
        parameters=[given["params_file"], overrides],
        remappings=remappings,
        output="screen",
    )
    if given["rviz"].lower() not in ("true", "1"):
        return [node]
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=given["namespace"],
        arguments=["-d", str(CONFIG / "hand.rviz"), "-f", given["fixed_frame"]],
    )
    return [node, rviz]


def profiles():
    """Return what gives Fast DDS shared memory that holds images, unless the user has done so."""
    # Before Fast DDS 3 the variable had another name; the new version warns of the old name.
    old = os.environ.get("ROS_DISTRO") in ("humble", "iron", "jazzy")
    name = f"{'FASTRTPS' if old else 'FASTDDS'}_DEFAULT_PROFILES_FILE"
    if name in os.environ:
        return []
    return [SetEnvironmentVariable(name, str(CONFIG / "fastdds.xml"))]


def generate_launch_description():
    """Return the launch description `ros2 launch` asks for."""
    return LaunchDescription(
        [
            *profiles(),
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )
