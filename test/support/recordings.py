"""Small recordings in the layout of the one the package comes with."""

from pathlib import Path

import cv2
import numpy as np


def write_recording(folder: Path, pictures, truth, rate_hz: float) -> Path:
    """Write RGB pictures and lists of true joints (21, 3); return the MCAP file."""
    from rosbags.rosbag2 import StoragePlugin, Writer
    from rosbags.typesys import Stores, get_typestore

    store = get_typestore(Stores.ROS2_HUMBLE)
    new = {kind.rpartition("/")[2]: made for kind, made in store.types.items()}
    topics = {
        "/camera/camera_info": "sensor_msgs/msg/CameraInfo",
        "/camera/image_raw/compressed": "sensor_msgs/msg/CompressedImage",
        "/truth/hand_0": "geometry_msgs/msg/PoseArray",
        "/truth/hand_1": "geometry_msgs/msg/PoseArray",
    }
    with Writer(folder, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        sent = {
            topic: writer.add_connection(topic, kind, typestore=store)
            for topic, kind in topics.items()
        }
        for index, (picture, hands) in enumerate(zip(pictures, truth, strict=True)):
            stamp_ns = 1_700_000_000_000_000_000 + round(index * 1e9 / rate_hz)
            header = new["Header"](new["Time"](*divmod(stamp_ns, 10**9)), "camera_optical_frame")
            height, width = picture.shape[:2]
            k = np.array([60.0, 0, width / 2, 0, 60.0, height / 2, 0, 0, 1])
            info = new["CameraInfo"](
                header=header, height=height, width=width, distortion_model="plumb_bob",
                d=np.zeros(5), k=k, r=np.eye(3).ravel(),
                p=np.hstack([k.reshape(3, 3), np.zeros((3, 1))]).ravel(),
                binning_x=0, binning_y=0, roi=new["RegionOfInterest"](0, 0, 0, 0, False),
            )  # fmt: skip
            code = cv2.imencode(".jpg", picture[..., ::-1])[1].ravel()
            messages = {
                "/camera/camera_info": info,
                "/camera/image_raw/compressed": new["CompressedImage"](header, "jpeg", code),
            }
            upright = new["Quaternion"](0.0, 0.0, 0.0, 1.0)
            for number, joints in enumerate(hands):
                poses = [new["Pose"](new["Point"](*joint), upright) for joint in joints.tolist()]
                messages[f"/truth/hand_{number}"] = new["PoseArray"](header, poses)
            for topic, message in messages.items():
                writer.write(sent[topic], stamp_ns, store.serialize_cdr(message, topics[topic]))
    (file,) = folder.glob("*.mcap")
    return file
