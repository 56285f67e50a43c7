"""Start hand_node for one camera, and RViz or another viewer if asked for.

ros2 launch cmr_ros hand.launch.py image:=/camera/image_raw camera_info:=/camera/camera_info
In the browser: viewer:=web
For RGB-D cameras: depth:=/camera/aligned_depth_to_color/image_raw
Several cameras: cameras:=left,right starts a node each on /left/image_raw and /right/image_raw
For two cameras: right_image:=/right/image_raw right_camera_info:=/right/camera_info
"""

import difflib
import re
from pathlib import Path

import yaml
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

from cmr_ros.ros.distribution import fastdds_profiles_variable

CONFIG = Path(__file__).resolve().parent.parent / "config"

#: Name -> (default, description).  A default that is not a value leaves the choice to others.
ARGUMENTS = {
    "image": ("image_raw", "image topic; one that ends with /compressed implies the transport"),
    "camera_info": ("camera_info", "camera_info topic"),
    "depth": (
        "",
        "topic of the depth image registered to the colour image, raw or compressedDepth; "
        "empty: none",
    ),
    "right_image": ("", "image topic of a second camera beside the first one; empty: none"),
    "right_camera_info": ("right/camera_info", "camera_info topic of the second camera"),
    "namespace": ("", "namespace of the node, one per camera"),
    "cameras": (
        "",
        "names of several cameras, such as left,right: a node for each, in a namespace of that "
        "name; {camera} in topics and frame_prefix stands for it",
    ),
    "frame_prefix": (
        "that of params_file, or the namespace: left_ for namespace:=left",
        "prefix of the TF frame names; none: no prefix",
    ),
    "transport": ("raw, unless params_file says otherwise", "raw or compressed"),
    "engine": ("onnxruntime, unless params_file says otherwise", "onnxruntime or torch"),
    "providers": (
        "cuda,cpu, unless params_file says otherwise",
        "onnxruntime execution providers in order of preference: tensorrt,cuda,cpu",
    ),
    "model": ("exact, unless params_file says otherwise", "exact, lite, or a model folder"),
    "autostart": (
        "true, unless params_file says otherwise",
        "false: a lifecycle manager configures and activates the node",
    ),
    "params_file": (str(CONFIG / "hand.yaml"), "parameter file of the node"),
    "rviz": ("false", "true: also start RViz"),
    "viewer": (
        "none",
        "web: a page in the browser; foxglove: a server for Foxglove; rerun: the Rerun viewer",
    ),
    "viewer_host": ("127.0.0.1", "address that web and foxglove are served on; 0.0.0.0: all"),
    "viewer_port": ("0", "their port; 0: 8080 for web, 8765 for foxglove"),
    "fixed_frame": (
        "upright at the camera",
        "fixed frame of RViz: one of the robot's, such as base_link",
    ),
}
#: Arguments that are topics.
TOPICS = ("image", "camera_info", "depth", "right_image", "right_camera_info")
#: Arguments that are parameters of the node.
PARAMETERS = ("transport", "engine", "providers", "model")
#: What `viewer` may be, but for none.
VIEWERS = ("web", "foxglove", "rerun")
#: Where the first camera is served if `viewer_port` is 0.
PORTS = {"web": 8080, "foxglove": 8765}

#: Who sets one of these has chosen how messages travel.
TRANSPORT_CHOICES = (
    "FASTDDS_BUILTIN_TRANSPORTS",
    "FASTDDS_DEFAULT_PROFILES_FILE",
    "FASTRTPS_DEFAULT_PROFILES_FILE",
    "ROS_LOCALHOST_ONLY",
)
#: Fast DDS reads these in the working directory.
PROFILE_FILES = ("DEFAULT_FASTDDS_PROFILES.xml", "DEFAULT_FASTRTPS_PROFILES.xml")


def start(context):
    """Return the processes to start, now that the arguments are known."""
    value = {name: LaunchConfiguration(name).perform(context) for name in ARGUMENTS}
    given = {name for name in ARGUMENTS if value[name] != ARGUMENTS[name][0]}
    names = [name.strip() for name in value["cameras"].split(",") if name.strip()]
    if not names:
        return start_camera(context, value, given)
    wrong = [name for name in names if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII)]
    if wrong or len(set(names)) < len(names):
        raise RuntimeError(
            f"cameras:={value['cameras']}: must be different names of letters, digits and _"
        )
    cameras = [value_of_camera(value, name, number) for number, name in enumerate(names)]
    return [process for one in cameras for process in start_camera(context, one, given)]


def value_of_camera(value, name, number):
    """Return the arguments of one of several cameras."""
    one = {key: value[key].replace("{camera}", name) for key in (*TOPICS, "frame_prefix")}
    one["namespace"] = f"{value['namespace'].rstrip('/')}/{name}" if value["namespace"] else name
    first_port = int(value["viewer_port"]) or PORTS.get(value["viewer"], 0)
    one["viewer_port"] = str(first_port + number)
    return {**value, **one}


def start_camera(context, value, given):
    """Return the processes of one camera; given: the names of arguments that were given."""
    namespace = full_namespace(value["namespace"], context)
    overrides = {name: value[name] for name in PARAMETERS if name in given and value[name]}
    file_parameters = read_parameters(value["params_file"], f"{namespace}/hand_node")
    if "frame_prefix" in given:
        overrides["frame_prefix"] = value["frame_prefix"].replace("none", "")
    elif namespace and not file_parameters.get("frame_prefix"):
        overrides["frame_prefix"] = namespace.strip("/").replace("/", "_") + "_"
    if "autostart" in given:
        overrides["autostart"] = value["autostart"].lower() in ("true", "1")
    remappings = [("image_raw", value["image"]), ("camera_info", value["camera_info"])]
    if value["depth"]:
        overrides["use_depth"] = True
        remappings.append(("depth", value["depth"]))
    node_environment = room_for_images(context.environment)
    if value["right_image"]:
        overrides["use_stereo"] = True
        remappings.append(("right/image_raw", value["right_image"]))
        remappings.append(("right/camera_info", value["right_camera_info"]))
    node = Node(
        package="cmr_ros",
        executable="hand_node",
        namespace=value["namespace"],
        parameters=[value["params_file"], overrides],
        remappings=remappings,
        additional_env=node_environment,
        output="screen",
    )
    started = []
    if value["rviz"].lower() in ("true", "1"):
        fixed_frame = value["fixed_frame"] if "fixed_frame" in given else ""
        started += start_rviz(value["namespace"], namespace, fixed_frame)
    if value["viewer"] != "none":
        started.append(start_viewer(value, node_environment))
    # RViz first: where it is not installed launch ends there, and would leave the others behind.
    return [*started, node]


def start_viewer(value, environment):
    """Return the process that listens to the node and shows what it hears."""
    if value["viewer"] not in VIEWERS:
        raise RuntimeError(f"viewer:={value['viewer']}: there are none, {', '.join(VIEWERS)}")
    return Node(
        package="cmr_ros",
        executable="hand_viewer",
        namespace=value["namespace"],
        parameters=[
            {
                "viewer": value["viewer"],
                "host": value["viewer_host"],
                "port": int(value["viewer_port"]),
            }
        ],
        remappings=[("camera_info", value["camera_info"])],
        additional_env=environment,
        output="screen",
    )


def start_rviz(namespace, full_name, fixed_frame):
    """Return RViz, and what publishes its fixed frame unless that is named."""
    frame = fixed_frame or f"{full_name}/camera_upright".strip("/").replace("/", "_")
    rviz = Node(
        package="rviz2",
        executable="rviz2",
        namespace=namespace,
        arguments=["-d", str(CONFIG / "hand.rviz"), "-f", frame],
    )
    upright = Node(
        package="cmr_ros",
        executable="upright_frame",
        namespace=namespace,
        parameters=[{"frame": frame}],
    )
    return [rviz] if fixed_frame else [rviz, upright]


def full_namespace(namespace, context):
    """Return the node's namespace with the one that another launch file has pushed, or nothing."""
    if not namespace.startswith("/"):
        namespace = f"{context.launch_configurations.get('ros_namespace', '')}/{namespace}"
    names = [name for name in namespace.split("/") if name]
    return "".join(f"/{name}" for name in names)


def warn_of_unknown(context):
    """Return warnings of arguments that launch takes in silence, though nobody knows them."""
    unknown = sorted(set(context.launch_configurations) - set(ARGUMENTS))
    near = {name: difflib.get_close_matches(name, ARGUMENTS, n=1, cutoff=0.75) for name in unknown}
    return [
        LogInfo(msg=f"[WARN] there is no argument {name}; did you mean {found[0]}?")
        for name, found in near.items()
        if found
    ]


def read_parameters(path, node):
    """Return the parameters that a file has for a node; RuntimeError where it has none."""
    try:
        content = yaml.safe_load(Path(path).read_text())
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise RuntimeError(f"params_file {path!r} cannot be read: {error}") from error
    sections = dict(sections_of(content))
    matching = [section for section in sections if re.fullmatch(pattern_of(section), node)]
    if not matching:
        raise RuntimeError(
            f"params_file {path!r} has no parameters for {node}: it needs a section "
            f"`/**: ros__parameters:` or `{node}: ros__parameters:`; its sections are "
            f"{', '.join(sections) or 'none'}"
        )
    return {key: value for section in matching for key, value in sections[section].items()}


def sections_of(content, name=""):
    """Yield the full names of a parameter file's sections, with what they hold."""
    if not isinstance(content, dict):
        return
    for key, inner in content.items():
        if key == "ros__parameters" and isinstance(inner, dict):
            yield name or "/", inner
        else:
            yield from sections_of(inner, f"{name}/{str(key).strip('/')}")


def pattern_of(section):
    """Return what a section's name matches: ** stands for any names, * for one."""
    parts = re.split(r"(/\*\*|\*)", section)
    meaning = {"/**": r"(/\w+)*", "*": r"\w+"}
    return "".join(meaning.get(part, re.escape(part)) for part in parts)


def room_for_images(environment):
    """Return the variable that gives Fast DDS room for images, if the user has chosen nothing."""
    other = not environment.get("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp").startswith("rmw_fastrtps")
    chosen = any(environment.get(name, "0") not in ("", "0") for name in TRANSPORT_CHOICES)
    if other or chosen or any(Path(name).exists() for name in PROFILE_FILES):
        return {}
    return {fastdds_profiles_variable(environment): str(CONFIG / "fastdds.xml")}


def generate_launch_description():
    """Return the launch description `ros2 launch` asks for."""
    return LaunchDescription(
        [
            OpaqueFunction(function=warn_of_unknown),
            *(
                DeclareLaunchArgument(name, default_value=default, description=description)
                for name, (default, description) in ARGUMENTS.items()
            ),
            OpaqueFunction(function=start),
        ]
    )
