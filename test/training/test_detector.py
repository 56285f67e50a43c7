"""The hand detector's targets are what its maps are read as; scenes keep their truth."""

import math

import cv2
import numpy as np
import onnxruntime
import pytest
import torch

from cmr_ros.cli import main
from cmr_ros.geometry.crop import Region
from cmr_ros.geometry.regions import palm_center, palm_overlap
from cmr_ros.model import weights
from cmr_ros.network.checkpoint import load_checkpoint
from cmr_ros.network.detector import CHANNELS, STRIDE, HandDetector
from cmr_ros.synthesis.cutouts import Cutout
from cmr_ros.synthesis.hand_scenes import EXTENT, Photograph, Scene, SceneComposer
from cmr_ros.synthesis.persons import Person
from cmr_ros.synthesis.settings import SceneSettings
from cmr_ros.tracking.detection import PalmDetector
from cmr_ros.tracking.hand_detector import HandDetector as Runtime
from cmr_ros.tracking.hand_detector import decode
from cmr_ros.training.detector import detection_loss, export
from cmr_ros.training.detector_data import flipped, label, mosaic, targets
from cmr_ros.training.detector_start import exported_convolutions, start_from
from support.made_up_hands import flat_right_hand
from support.scenes import frames_of

HANDS = np.array(
    [[40.0, 60.0, 50.0, 0.0, -1.0, 1.0], [121.0, 90.0, 90.0, 0.6, -0.8, 0.0]], np.float32
)


def perfect_map(hands):
    """Return the map (7, h, w) that the targets ask for."""
    heat, _, goals = targets(hands, 160)
    score = np.log(np.clip(heat, 1e-6, 1 - 1e-6) / (1 - np.clip(heat, 1e-6, 1 - 1e-6)))
    return np.concatenate([score[None], goals]).astype(np.float32)


def test_a_map_that_meets_the_targets_is_read_as_the_hands():
    found = sorted(decode(perfect_map(HANDS), 0.9), key=lambda hand: hand.region.center_px[0])
    assert len(found) == 2
    for hand, (x, y, side, up_x, up_y, _) in zip(found, HANDS, strict=True):
        np.testing.assert_allclose(palm_center(hand.region), [x, y], atol=0.01)
        assert hand.region.size_px == pytest.approx(side, rel=1e-3)
        assert hand.region.rotation_rad == pytest.approx(math.atan2(up_x, -up_y), abs=1e-3)


def test_the_loss_is_least_where_the_targets_are_met():
    truth = [torch.from_numpy(part)[None] for part in targets(HANDS, 160)]
    right = torch.from_numpy(perfect_map(HANDS))[None]
    right[:, 6] = 20 * (right[:, 6] - 0.5)
    least = detection_loss(right, *truth)
    for channel in range(len(CHANNELS)):
        wrong = right.clone()
        wrong[:, channel] = wrong[:, channel].flip(-1) if channel == 0 else -wrong[:, channel] + 1
        assert detection_loss(wrong, *truth) > least + 0.01


def test_the_loss_trains_the_network():
    torch.manual_seed(0)
    network = HandDetector()
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    picture = torch.rand(1, 3, 160, 160)
    truth = [torch.from_numpy(part)[None] for part in targets(HANDS, 160)]
    losses = []
    for _ in range(40):
        loss = detection_loss(network(picture), *truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def dotted(hands):
    """Return a scene with a bright dot on each palm."""
    picture = np.zeros((160, 160, 3), np.uint8)
    for x, y, *_ in hands:
        picture[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3] = 255
    return Scene(picture, hands)


def test_mirrored_and_joined_scenes_keep_their_hands_in_place():
    rng = np.random.default_rng(0)
    for _ in range(10):
        for scene in (
            flipped(dotted(HANDS), rng),
            mosaic([dotted(HANDS) for _ in range(4)], rng),
        ):
            for x, y, *_ in scene.hands:
                assert scene.picture[round(float(y)), round(float(x))].min() > 60
    assert len(scene.hands) == 8 and set(scene.hands[:, 2]) == {25.0, 45.0}


def test_mirroring_makes_left_hands_of_right_ones():
    class Always:
        def random(self):
            return 0.1

    both = flipped(dotted(HANDS), Always())
    # Mirrored and upside down is turned by half a turn: the hand is what it was.
    np.testing.assert_allclose(both.hands[:, 5], HANDS[:, 5])
    np.testing.assert_allclose(both.hands[:, 3:5], -HANDS[:, 3:5])


def test_composed_scenes_show_their_hands():
    color = np.zeros((320, 320, 4), np.uint8)
    color[100:220, 100:220] = (255, 0, 0, 255)
    joints = np.random.default_rng(0).uniform(110, 210, (21, 2))
    joints[0], joints[9] = (160, 215), (160, 150)
    photograph = Photograph(
        np.full((200, 200, 3), (255, 0, 0), np.uint8), (Region((100.0, 100.0), 120.0),)
    )
    grounds = [np.full((320, 320, 3), 90, np.uint8)]
    composer = SceneComposer([Cutout(color, joints, np.zeros(2))], grounds, [photograph])
    rng = np.random.default_rng(1)
    seen, red = 0, 0
    for _ in range(30):
        scene = composer.scene(rng)
        assert scene.picture.shape == (256, 256, 3) and scene.picture.dtype == np.uint8
        for x, y, *_ in scene.hands:
            if 2 < x < 253 and 2 < y < 253:
                seen += 1
                r, g, b = scene.picture[int(y), int(x)].astype(int)
                red += r > g + 20 and r > b + 20
    assert seen > 30 and red > 0.6 * seen  # the rest is grey, dark or covered


def test_hands_beside_others_touch_them_and_are_as_large():
    color = np.full((100, 100, 4), 255, np.uint8)
    joints = 50 + 400 * flat_right_hand()[:, :2]
    settings = SceneSettings(empty=0, more_hands=1, beside=1.0, beside_at=(0.5, 0.6))
    grounds = [np.full((320, 320, 3), 90, np.uint8)]
    composer = SceneComposer([Cutout(color, joints, np.zeros(2))], grounds, settings=settings)
    rng = np.random.default_rng(1)
    pairs = [hands for hands in (composer.scene(rng).hands for _ in range(40)) if len(hands) == 2]
    assert len(pairs) > 5
    for first, second in pairs:
        extent = EXTENT * first[2]
        assert 0.35 * extent < np.hypot(*(second - first)[:2]) < 0.8 * extent
        assert 0.5 < second[2] / first[2] < 2


def test_photographs_are_labelled_where_all_hands_are_clear(tmp_path):
    _, (frame,) = frames_of(1, 1)
    picture = cv2.cvtColor(frame.picture(), cv2.COLOR_RGB2BGR)
    for name, image in (("hand", picture), ("nothing", np.full_like(picture, 90))):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), image)
    (photograph,) = label(tmp_path)
    assert photograph.picture.shape == (240, 320, 3)
    (region,) = photograph.regions
    (found,) = PalmDetector(weights.find(weights.PALM_DETECTION))(photograph.picture)
    assert palm_overlap(region, found.region) > 0.5
    assert label(tmp_path, 1, 2) == []  # what is nothing, is in the second half


def test_persons_bring_their_hands_into_scenes():
    color = np.zeros((200, 150, 4), np.uint8)
    color[..., :3], color[:, 20:, 3] = (0, 255, 0), 255
    joints = np.random.default_rng(2).uniform(60, 100, (21, 2))
    color[50:110, 50:110, :3] = (255, 0, 0)
    persons = [Person(color, ((joints, True),)), Person(color[:40], ())]
    settings = SceneSettings(empty=1.0, persons=0.7, bystanders=0, grey=0, dark=0)
    grounds = [np.full((320, 320, 3), 90, np.uint8)]
    composer = SceneComposer([], grounds, [], persons, settings)
    rng = np.random.default_rng(3)
    red, sides = [], set()
    for _ in range(40):
        scene = composer.scene(rng)
        for x, y, *_, right in scene.hands:
            if 3 < x < 252 and 3 < y < 252:
                r, g, b = scene.picture[int(y), int(x)].astype(int)
                red.append(r > g + 20 and r > b + 20)
                sides.add(float(right))
    assert len(red) > 15 and np.mean(red) > 0.8
    assert sides == {0.0, 1.0}  # a left hand, mirrored or not


def test_what_is_exported_computes_what_torch_computes(tmp_path):
    torch.manual_seed(1)
    network = HandDetector().eval()
    path = export(network, tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (1, 96, 160, 3), np.uint8)
    (told,) = onnxruntime.InferenceSession(str(path)).run(None, {"image": image})
    with torch.no_grad():
        true = network(torch.from_numpy(image).permute(0, 3, 1, 2).float() / 255).numpy()
    assert told.shape == (1, len(CHANNELS), 96 // STRIDE, 160 // STRIDE)
    np.testing.assert_allclose(told, true, atol=1e-4)
    Runtime(path)(image[0])


def test_training_goes_on_from_an_exported_detector(tmp_path):
    torch.manual_seed(1)
    trained = HandDetector()
    pictures = torch.rand(8, 3, 96, 160)
    with torch.no_grad():
        for _ in range(30):  # statistics of its own, far from those it was made with
            trained(3 * pictures)
    path = export(trained, tmp_path)
    network = HandDetector()
    start_from(exported_convolutions(path, network), network, pictures)
    with torch.no_grad():
        told, true = network.eval()(pictures), trained(pictures)
        while_training = network.train()(pictures)
    torch.testing.assert_close(told, true, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(while_training, true, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("what", ["missing", "text", "another network"])
def test_training_cannot_go_on_from_other_files(tmp_path, capsys, what):
    path = tmp_path / "detector.onnx"
    if what == "text":
        path.write_text("no network")
    elif what == "another network":
        path = weights.hand_network("lite") / "model.onnx"
    arguments = ["train-detector", "-o", str(tmp_path / "out"), "--start", str(path)]
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert path.name in error and error.count("\n") == 1


def test_the_command_trains_and_writes(tmp_path, capsys):
    pytest.importorskip("moderngl")
    arguments = ["train-detector", "-o", str(tmp_path), "--cutouts", "2", "--surroundings", "2"]
    arguments += ["--start", str(weights.find(weights.HAND_DETECTION))]
    status = main([*arguments, "--steps", "1"])
    if status == 2 and "EGL" in capsys.readouterr().err:
        pytest.skip("rendering needs EGL")
    assert status == 0
    Runtime(tmp_path / "hand_detection.onnx")
    first = load_checkpoint(tmp_path / "checkpoint.pt")
    assert first["step"] == 1
    assert main([*arguments, "--steps", "1"]) == 0  # nothing is left to do
    assert load_checkpoint(tmp_path / "checkpoint.pt")["step"] == 1
