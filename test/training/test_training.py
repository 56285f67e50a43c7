"""The training loop: resumed runs, several processes, kept features, damaged files."""

import copy
import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.model.card import ModelCard
from cmr_ros.model.inference import load_network
from cmr_ros.model.template import HandTemplate
from cmr_ros.model.weights import find
from cmr_ros.network.build import build
from cmr_ros.network.checkpoint import load_checkpoint
from cmr_ros.network.config import NetworkConfig, preset
from cmr_ros.network.losses import Targets
from cmr_ros.network.recovery import Recovery
from cmr_ros.network.trunk import MobileTrunk
from cmr_ros.synthesis.sample import Sample
from cmr_ros.synthesis.shards import Shards, encode_picture, shard_path, write_shard
from cmr_ros.training.average import Average
from cmr_ros.training.batches import RenderedSamples, shuffled
from cmr_ros.training.features import cached
from cmr_ros.training.heads import answer_loss, joint_loss, known_answers, mirrored_loss
from cmr_ros.training.loop import Training
from cmr_ros.training.objective import gaussians
from cmr_ros.training.plan import load_plan
from cmr_ros.training.processes import Processes
from cmr_ros.training.release import blend, exported_weights
from cmr_ros.training.validation import validate
from support.networks import sphere_template

SIZE = 64
ALONE = Processes(0, 1, torch.device("cpu"))


def write_samples(folder, count, seed):
    """Spheres whose turn, drawn as a colour, can be read from the picture."""
    rng = np.random.default_rng(seed)
    template = sphere_template()
    matrix = np.array([[150, 0, 31.5], [0, 150, 31.5], [0, 0, 1]])
    samples, codes = [], []
    for _ in range(count):
        angle = rng.uniform(-1, 1)
        turn = np.array(
            [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        )
        vertices = (template.vertices[0] @ turn.T + [0, 0, 0.6]).astype(np.float32)
        mask = np.hypot(*np.mgrid[-31.5:32, -31.5:32]) < 25
        picture = np.where(mask[..., None], [128 + 100 * angle, 128, 128 - 100 * angle], 20)
        samples.append(
            Sample(
                picture.astype(np.uint8), vertices, vertices[:21], matrix, mask, np.ones(21, bool)
            )
        )
        codes.append(encode_picture(samples[-1].picture))
    write_shard(shard_path(folder, 0), samples, codes, seed)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_samples(folder / "train", 24, 0)
    write_samples(folder / "validation", 6, 1)
    sphere_template().save(folder / "template.npz")
    return folder


@pytest.fixture
def plan_file(data, tmp_path):
    values = {
        "train": str(data / "train"),
        "validation": str(data / "validation"),
        "template": str(data / "template.npz"),
        "output": str(tmp_path / "run"),
        "preset": "g_mobile",
        "network": {"input_size": SIZE, "decoder": {"latent": 32, "widths": [8, 8, 8, 8]}},
        "frozen": True,
        "cache": str(tmp_path / "features"),
        "workers": 0, "epochs": 2, "batch_size": 8, "learning_rate": 1e-3, "warmup_steps": 2,
        "schedule": "cosine", "ema": 0.9, "threads": 1, "sigma_px": 4.0,
        "losses": {"location": 0.02, "joint": 1.0},
    }  # fmt: skip
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def same(state, other):
    assert state.keys() == other.keys()
    for name, value in state.items():
        assert torch.equal(value, other[name]), name


def test_resumed_run_equals_an_uninterrupted_one(plan_file, tmp_path):
    whole = Training(load_plan(plan_file, output=str(tmp_path / "whole")), ALONE)
    whole.run()
    plan = load_plan(plan_file)
    halves = Training(plan, ALONE)
    halves.train_epoch()
    resumed = Training(plan, ALONE)
    resumed.resume()
    metrics = resumed.run()
    same(resumed.network.state_dict(), whole.network.state_dict())
    same(resumed.average.network.state_dict(), whole.average.network.state_dict())
    assert metrics == whole.metrics


def test_what_a_run_leaves_behind(plan_file, tmp_path, capsys):
    assert main(["train", str(plan_file)]) == 0
    printed = json.loads(capsys.readouterr().out)
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in lines] == [1, 2]
    assert {"pa_mpjpe_mm", "pa_mpvpe_mm", "px", "landmark_px", "mask_iou", "f15"} <= set(printed)
    assert (tmp_path / "run" / "validation.png").stat().st_size > 1000
    assert list((tmp_path / "run" / "log").iterdir())
    assert main(["train", str(plan_file)]) == 2, "a second run must not overwrite the first"
    assert "--resume" in capsys.readouterr().err


def test_training_lowers_the_error(plan_file):
    training = Training(load_plan(plan_file, epochs=15, learning_rate=3e-3), ALONE)
    training.train_epoch()
    first = validate(training.network, training.held_out, training.template)
    last = training.run()
    assert last["rr_mpjpe_mm"] < 0.9 * first["rr_mpjpe_mm"]
    assert last["pa_mpjpe_mm"] < 0.95 * first["pa_mpjpe_mm"]


def test_a_trunk_is_trained_with_its_heads_and_more_slowly(plan_file):
    losses = {"location": 0.02, "joint": 1.0, "heads": 0.5}
    changes = {"frozen": False, "cache": None, "augment": "all", "losses": losses, "epochs": 1}
    training = Training(load_plan(plan_file, trunk_rate=0.25, **changes), ALONE)
    before = copy.deepcopy(training.network.state_dict())
    training.train_epoch()
    moved = {}
    for part in ("trunk.", "landmark_heads.", "stages."):
        apart = [
            (value - before[name]).abs().max().item()
            for name, value in training.network.named_parameters() if name.startswith(part)
        ]  # fmt: skip
        moved[part] = np.median(apart)
    # Adam moves every parameter by about its rate.
    assert moved["trunk."] == pytest.approx(moved["stages."] / 4, rel=0.5)
    assert moved["landmark_heads."] == pytest.approx(moved["stages."] / 4, rel=0.5)
    released = training.objective.before
    same(released.trunk.state_dict(), {n[6:]: v for n, v in before.items() if n[:6] == "trunk."})


def test_a_head_that_says_right_of_mirrored_hands_loses(plan_file):
    changes = {"frozen": False, "cache": None, "losses": {"heads": 0.5}}
    training = Training(load_plan(plan_file, **changes), ALONE)
    network, before = training.network.eval(), training.objective.before
    images = torch.rand(2, 3, SIZE, SIZE)
    said = before(images.flip(3))[1]
    photographs = torch.ones(2, dtype=torch.bool)
    with torch.no_grad():
        kept = mirrored_loss(network, before, images, photographs)
        torch.testing.assert_close(kept, torch.nn.functional.binary_cross_entropy(said, said))
        network.landmark_heads.handedness.bias += 5
        assert mirrored_loss(network, before, images, photographs) > kept + 0.5
        # Of renders it is known, whatever was said before.
        network.landmark_heads.handedness.bias -= 30
        assert mirrored_loss(network, before, images, ~photographs) < 0.2


def test_first_stages_may_stay_and_photographs_alone_be_changed(plan_file):
    changes = {"frozen": False, "cache": None, "losses": {"heads": 0.5}, "frozen_stages": 2}
    training = Training(load_plan(plan_file, augment="photographs", **changes), ALONE)
    trains = {n for n, p in training.network.trunk.named_parameters() if p.requires_grad}
    assert {name.split(".")[0] for name in trains} == {"stages", "head"}
    assert {name.split(".")[1] for name in trains if name.startswith("stages")} == {"2", "3"}
    batch = training.samples[[0, 1, 2]]
    photographs = dataclasses.replace(
        batch, weights=torch.tensor([1, 0.5, 1])[:, None] * batch.weights
    )
    changed = training.objective._changed(photographs)
    assert torch.equal(changed.images[::2], batch.images[::2])
    assert not torch.equal(changed.joints_px[1], batch.joints_px[1])
    assert training.objective._changed(batch) is batch


def test_heads_of_the_crop_stay_where_the_maps_that_they_see_stay(plan_file):
    network = {"input_size": SIZE, "crop_head": 16, "region_head": 8}
    changes = {"frozen": False, "cache": None, "losses": {"heads": 0.5}, "network": network}
    training = Training(load_plan(plan_file, frozen_stages=3, epochs=1, **changes), ALONE)
    before = copy.deepcopy(training.network)
    training.train_epoch()
    images = torch.rand(2, 3, SIZE, SIZE)
    with torch.no_grad():
        then, now = before.eval()(images), training.network.eval()(images)
    for kept in ("presence", "handedness", "region"):
        assert torch.equal(getattr(then, kept), getattr(now, kept))
    for trained in ("landmarks", "released", "heatmaps"):
        assert not torch.equal(getattr(then, trained), getattr(now, trained))


def test_of_photographs_heads_learn_what_a_teacher_says(plan_file, monkeypatch):
    torch.manual_seed(8)
    config = dataclasses.replace(preset("g_mobile"), input_size=SIZE)
    released = build(config, sphere_template())
    states = released.trunk.state_dict(), released.landmark_heads.state_dict()
    monkeypatch.setattr("cmr_ros.training.heads.load_mediapipe", lambda path: states)
    changes = {"frozen": False, "cache": None, "losses": {"heads": 0.5}, "augment": "all"}
    training = Training(load_plan(plan_file, teacher="full.onnx", **changes), ALONE)
    batch = training.samples[[0, 1, 2]]
    batch = dataclasses.replace(batch, weights=torch.tensor([1, 0.5, 1])[:, None] * batch.weights)
    images = batch.images.permute(0, 3, 1, 2) / 255
    taught = training.objective.teacher.taught(batch, images)
    with torch.no_grad():
        said = released.eval()(images)
    torch.testing.assert_close(taught.taught_px[1], SIZE * said.landmarks[1], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(taught.taught[1], said.released[1], rtol=1e-3, atol=1e-4)
    assert torch.equal(taught.taught_px[::2], batch.joints_px[::2])
    # It moves with the image, as the truth does.
    changed = training.objective._changed(taught)
    torch.testing.assert_close(changed.taught_px[::2], changed.joints_px[::2])
    assert not torch.equal(changed.joints_px, batch.joints_px)
    scale_m = training.config.scale_m
    torch.testing.assert_close(scale_m * changed.taught[::2], changed.joints[::2])
    training.objective(batch)["heads"].backward()
    assert all(parameter.grad is None for parameter in training.objective.teacher.parameters())
    with pytest.raises(InputError, match="teaches the released heads"):
        load_plan(plan_file, teacher="full.onnx")


def test_heads_learn_the_joints_and_the_answers(data):
    sample = RenderedSamples(Shards(data / "train"))[[0, 1]]
    right = Recovery(
        meshes=(), heatmaps=torch.zeros(0), silhouette=torch.zeros(0),
        landmarks=sample.joints_px / SIZE, released=3 + sample.joints,
        presence=torch.tensor([[1.0], [0.0]]), handedness=torch.tensor([[0.0], [1.0]]),
    )  # fmt: skip
    targets = Targets((), torch.zeros(0), torch.zeros(0), sample.joints, sample.weights)
    answers = right.presence, right.handedness

    def joints(**changes):
        recovery = dataclasses.replace(right, **changes)
        return joint_loss(recovery, sample, targets, SIZE).item()

    def said(**changes):
        return answer_loss(dataclasses.replace(right, **changes), answers).item()

    assert joints() == pytest.approx(0, abs=1e-4) and said() == pytest.approx(0, abs=1e-4)
    assert joints(landmarks=right.landmarks + 0.1) == pytest.approx(1, abs=1e-3)
    assert joints(released=1.1 * right.released) > 0.02
    assert said(presence=1 - right.presence) > 5 and said(handedness=1 - right.handedness) > 5


def test_heads_are_told_what_is_known_and_else_what_they_said(data):
    batch = RenderedSamples(Shards(data / "train"))[[0, 1, 2, 3]]
    said = torch.full((4, 1), 0.3), torch.full((4, 1), 0.2)
    weights = torch.tensor([1, 0.5, 0.5, 0])[:, None] * batch.weights
    presence = torch.tensor([math.nan, math.nan, 0.01, 0.99])
    for samples in (
        dataclasses.replace(batch, weights=weights, presence=presence),
        dataclasses.replace(batch, weights=weights, presence=None),
    ):
        known, handedness = known_answers(said, samples)
        assert known[:2, 0].tolist() == pytest.approx([0.99, 0.3])
        assert handedness[:3, 0].tolist() == pytest.approx([0.99, 0.2, 0.2])
        told = [*known[2:, 0].tolist(), handedness[3].item()]
        # What is known to be a hand is shown as a right one.
        expected = [0.3, 0.3, 0.2] if samples.presence is None else [0.01, 0.99, 0.99]
        assert told == pytest.approx(expected)


def test_kept_features_equal_computed_ones(data, tmp_path):
    torch.manual_seed(0)
    trunk = MobileTrunk()
    renders = RenderedSamples(Shards(data / "train"))
    features = cached(trunk, renders, tmp_path, 0, False)
    indices = [3, 17, 5]
    ours, direct = features[indices], renders[indices]
    with torch.no_grad():
        expected = trunk(direct.images.permute(0, 3, 1, 2) / 255)
    for name in ("x4", "x8", "x16", "x32", "pooled"):
        x, y = getattr(ours.features, name).float(), getattr(expected, name)
        torch.testing.assert_close(x, y, rtol=2e-3, atol=2e-3 * float(y.abs().max()))
    for name in ("vertices", "joints", "joints_px", "mask", "weights"):
        assert torch.equal(getattr(ours, name), getattr(direct, name))


def test_kept_features_grow_with_the_renders_and_know_them(data, tmp_path):
    trunk, renders = MobileTrunk(), Shards(data / "train")
    assert len(cached(trunk, RenderedSamples(renders, 10), tmp_path, 0, False)) == 10
    assert len(cached(trunk, RenderedSamples(renders, 24), tmp_path, 0, False)) == 24
    write_samples(tmp_path / "other", 24, 5)
    with pytest.raises(InputError, match="other renders"):
        cached(trunk, RenderedSamples(Shards(tmp_path / "other")), tmp_path, 0, False)


def test_two_processes_train_as_one(plan_file, tmp_path):
    """Started as torchrun starts them; both end with the same weights and one validates."""
    environment = os.environ | {
        "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        "-m", "cmr_ros.cli", "train", str(plan_file), "--set", "batch_size=4",
    ]  # fmt: skip
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.count('"pa_mpjpe_mm"') == 1
    lines = (tmp_path / "run" / "validation.jsonl").read_text().splitlines()
    assert len(lines) == 2
    # Two halves of a batch give the gradient of the whole one, but for batch norm's statistics.
    alone = Training(load_plan(plan_file, output=str(tmp_path / "alone")), ALONE)
    alone.run()
    together = load_checkpoint(tmp_path / "run" / "last.pt")
    assert together["epoch"] == 2
    assert together["metrics"]["rr_mpjpe_mm"] == pytest.approx(
        alone.metrics["rr_mpjpe_mm"], rel=0.5
    )


def test_processes_share_an_epoch_without_overlap():
    parts = [shuffled(50, 4, seed=1, epoch=3, rank=rank, ranks=3) for rank in range(3)]
    assert [len(part) for part in parts] == [4, 4, 4]
    drawn = [index for part in parts for batch in part for index in batch]
    assert len(set(drawn)) == len(drawn) == 48
    assert parts[0] != shuffled(50, 4, seed=1, epoch=4, rank=0, ranks=3)


def test_average_follows_and_forgets_its_start():
    network = torch.nn.Linear(1, 1)
    average = Average(network, decay=0.5)
    with torch.no_grad():
        network.weight.fill_(1.0)
        average.network.weight.fill_(100.0)
    for step in range(20):
        average.update(network, step)
    assert average.network.weight.item() == pytest.approx(1.0, abs=1e-3)


def test_peaks_lie_at_the_joints():
    joints = torch.tensor([[[10.0, 30.0], [63.0, 0.0]]])
    maps = gaussians(joints, size_px=64, cells=64, sigma_px=3.0)
    assert maps[0, 0, 30, 10] == 1 and maps[0, 1, 0, 63] == 1
    coarse = gaussians(torch.tensor([[[1.5, 5.5]]]), size_px=64, cells=16, sigma_px=3.0)
    assert coarse[0, 0, 1, 0] == 1  # cell (1, 0) covers x 0 to 3, y 4 to 7


@pytest.mark.parametrize(
    ("content", "message"), [(b"", "checkpoint"), (b"not a checkpoint", "checkpoint")]
)
def test_damaged_checkpoint_is_one_clear_error(plan_file, tmp_path, capsys, content, message):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "last.pt").write_bytes(content)
    assert main(["train", str(plan_file), "--resume"]) == 2
    assert message in capsys.readouterr().err


def test_checkpoint_that_holds_code_does_not_run_it(tmp_path):
    class Evil:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "run_by_the_checkpoint"),)

    torch.save({"network": Evil()}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="checkpoint"):
        load_checkpoint(tmp_path / "last.pt")
    assert not (tmp_path / "run_by_the_checkpoint").exists()
    torch.save({"network": {}}, tmp_path / "last.pt")
    with pytest.raises(InputError, match="'epoch' is missing"):
        load_checkpoint(tmp_path / "last.pt", ("network", "epoch"))


def test_a_run_starts_from_another_ones_weights(plan_file, tmp_path):
    before = Training(load_plan(plan_file, epochs=1), ALONE)
    before.run()
    plan = load_plan(plan_file, output=str(tmp_path / "next"), init=str(before.checkpoint))
    same(Training(plan, ALONE).network.state_dict(), before.average.network.state_dict())
    network = Training(dataclasses.replace(plan, fresh=("decoder",)), ALONE).network
    same(network.encoder.state_dict(), before.average.network.encoder.state_dict())
    own, other = (net.decoder.de_layers[0].weight for net in (network, before.average.network))
    assert not torch.equal(own, other)
    with pytest.raises(InputError, match="'head' is no part"):
        Training(dataclasses.replace(plan, fresh=("head",)), ALONE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, "unknown entry 'epoch'"),
        ({"epochs": "many"}, "'many' is not of type int"),
        ({"limit": "all"}, "'all' is not of type int"),
        ({"step_epochs": [3, "x"]}, "'x' is not of type int"),
        ({"learning_rate": math.inf}, "inf is not a number"),
        ({"network": {"decoder": 5}}, "not a network configuration"),
        ({"precision": "fp8"}, "precision"),
        ({"frozen": False}, "frozen"),
        ({"frozen": False, "cache": None}, "landmark_heads"),
        ({"augment": "all"}, "images stay the same"),
        ({"augment": "some"}, "augment 'some'"),
        ({"losses": {"heads": 1.0}}, "with their trunk alone"),
        ({"preset": "sg_resnet18"}, "no trunk"),
        ({"preset": "sg_resnet18", "frozen": False, "cache": None, "frozen_stages": 1}, "no trunk"),
        (
            {
                "frozen": False,
                "cache": None,
                "losses": {"heads": 1.0},
                "network": {"input_size": SIZE, "nudge": 0},
            },
            "with a nudge",
        ),
        (
            {
                "frozen": False,
                "cache": None,
                "losses": {"heads": 1.0},
                "network": {"input_size": SIZE, "region_head": 8},
            },
            "train-head",
        ),
        ({"head_error": 1.5}, "head_error 1.5"),
        ({"limit": 0}, "limit 0: must be positive"),
        ({"workers": -1}, "workers -1: must not be negative"),
        ({"seed": -1}, "seed -1"),
        ({"weight_decay": -1.0}, "weight_decay -1"),
        ({"trunk_rate": -1.0}, "trunk_rate -1"),
        ({"warmup_steps": -3}, "warmup_steps -3"),
        ({"frozen_stages": -1}, "frozen_stages -1"),
        ({"losses": {"mash": 1}}, "unknown entry 'mash'"),
        ({"network": {"depth": 1}}, "unknown entry 'depth'"),
        ({"train": "/nowhere"}, "/nowhere"),
        ({"init": "/nowhere.pt"}, "no such file"),
        ({"batch_size": 1000}, "do not fill a batch"),
    ],
)
def test_plans_that_cannot_be_followed(plan_file, changes, message):
    with pytest.raises(InputError, match=message):
        Training(load_plan(plan_file, **changes), ALONE)


@pytest.mark.parametrize("value", ["[", "*name", "2026-13-45", "!!int ''", "[" * 5000, "&a [*a]"])
def test_changes_on_the_command_line_are_read_as_plans_are(plan_file, value, capsys):
    assert main(["train", str(plan_file), "--set", f"epochs={value}"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("cmr train: --set epochs=") and "NAME=VALUE" in line


def test_a_plan_extends_another(plan_file, tmp_path):
    (tmp_path / "deeper").mkdir()
    longer = tmp_path / "deeper" / "longer.yaml"
    own = {"epochs": 7, "cache": None, "train": ["a", "b"], "losses": {"joint": 2.0}}
    longer.write_text(yaml.safe_dump({"extends": "../plan.yaml", **own}))
    base, plan = load_plan(plan_file), load_plan(longer, seed=3, network={"nudge": 0})
    losses, network = dataclasses.replace(base.losses, joint=2.0), base.network | {"nudge": 0}
    trained = {"train": (Path("a"), Path("b")), "losses": losses, "network": network}
    assert base.losses.location == 0.02 and base.network["input_size"] == SIZE
    assert plan == dataclasses.replace(base, epochs=7, cache=None, seed=3, **trained)


@pytest.mark.parametrize("name", ["g_mobile", "g_mobile_lite"])
def test_a_plan_changes_single_entries_of_its_preset(plan_file, name):
    changes = {"mobile": {"hidden": 100}, "decoder": {"neighbours": 7}}
    plan = dataclasses.replace(load_plan(plan_file), preset=name, network=changes)
    whole = preset(name)
    assert plan.network_config == dataclasses.replace(
        whole,
        mobile=dataclasses.replace(whole.mobile, hidden=100),
        decoder=dataclasses.replace(whole.decoder, neighbours=7),
        heatmap_sigma_px=plan.sigma_px,
    )


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("extends: nowhere.yaml", "nowhere.yaml: no such file"),
        ("extends: circle.yaml", "extends"),
        ("extends: other.yaml", "circle.yaml, which extends it"),
        ("- train", "expected names and values"),
        ("1: 2\nx: 3", "unknown entry 1"),
    ],
)
def test_plans_that_extend_nothing_useful(tmp_path, content, message):
    (tmp_path / "circle.yaml").write_text(content)
    (tmp_path / "other.yaml").write_text("extends: circle.yaml")
    with pytest.raises(InputError, match=message):
        load_plan(tmp_path / "circle.yaml")


def test_several_sets_are_read_one_after_the_other(data):
    both = Shards(data / "validation", data / "train")
    assert len(both) == 30
    for index, name, own in ((5, "validation", 5), (6, "train", 0), (29, "train", 23)):
        assert np.array_equal(both[index].vertices, Shards(data / name)[own].vertices)
    with pytest.raises(InputError, match="nowhere"):
        Shards(data / "train", data / "nowhere")


def test_training_goes_on_from_the_shipped_weights():
    folder = find("hand_mobile")
    card = ModelCard.load(folder / "model.json")
    network = build(
        NetworkConfig.from_dict(card.network), HandTemplate.load(folder / "template.npz")
    )
    weights = exported_weights(folder)
    # The crop head answers in place of two of MediaPipe's, which are not kept.
    missing = network.state_dict().keys() - weights.keys()
    assert {name.rpartition(".")[0] for name in missing} == {
        "landmark_heads.presence", "landmark_heads.handedness"
    }  # fmt: skip
    network.load_state_dict(weights, strict=False)
    crops = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    expected = load_network(folder, providers=("cpu",))(crops)
    with torch.no_grad():
        recovery = network.eval()(torch.from_numpy(crops).permute(0, 3, 1, 2) / 255)
    apart = np.abs(recovery.mesh.numpy() * card.scale_m - expected.vertices_m).max()
    assert apart < 1e-4


def test_runs_start_from_exported_weights_and_are_blended_with_them(
    plan_file, tmp_path, capsys, monkeypatch
):
    def averaged(run):
        return load_checkpoint(run.checkpoint, ("average",))["average"]

    run = Training(load_plan(plan_file, epochs=1), ALONE)
    run.run()
    first = averaged(run)
    template = str(load_plan(plan_file).template)
    start, between = tmp_path / "start", tmp_path / "between"
    command = ["export", str(run.checkpoint), "--template", template, "-o"]
    assert main([*command, str(start)]) == 0

    other = Training(load_plan(plan_file, init=str(start), seed=1), ALONE)
    for name, value in other.network.top_down.state_dict().items():
        if "num_batches" not in name:
            assert torch.equal(value, first[f"top_down.{name}"]), name

    run = Training(load_plan(plan_file, epochs=2), ALONE)
    run.resume()
    run.run()
    last = averaged(run)
    written = []  # in place of a second file: how one is made, others test
    monkeypatch.setattr("cmr_ros.network.export.export", lambda *given: written.append(given[0]))
    monkeypatch.setattr("cmr_ros.network.export.describe", str)
    assert main([*command, str(between), "--blend", str(start)]) == 0
    blended = written[0].state_dict()
    for name in exported_weights(start):
        if blended[name].is_floating_point():
            mean = (first[name] + last[name]) / 2
            torch.testing.assert_close(blended[name], mean, rtol=1e-5, atol=1e-6)
    assert not torch.equal(
        first["top_down.smooth.0.0.weight"], blended["top_down.smooth.0.0.weight"]
    )
    capsys.readouterr()
    assert main([*command, str(between), "--blend", str(find("hand_mobile"))]) == 2
    assert "of another network" in capsys.readouterr().err


def test_a_region_head_that_training_left_out_does_not_hinder_the_mean(monkeypatch):
    config = dataclasses.replace(preset("g_mobile_lite"), input_size=SIZE, region_head=8)
    start = build(config, sphere_template()).state_dict()
    monkeypatch.setattr("cmr_ros.training.release.exported_weights", lambda folder: start)
    network = build(dataclasses.replace(config, region_head=0), sphere_template())
    name = "top_down.smooth.0.0.weight"
    own = network.state_dict()[name].clone()
    blend(network, Path("start"))
    torch.testing.assert_close(network.state_dict()[name], (own + start[name]) / 2)


def test_a_trunk_of_other_widths_is_one_clear_error(plan_file, monkeypatch):
    lite = build(preset("g_mobile_lite"), sphere_template())
    states = lite.trunk.state_dict(), lite.landmark_heads.state_dict()
    monkeypatch.setattr("cmr_ros.training.heads.load_mediapipe", lambda path: states)
    with pytest.raises(InputError, match="lite.onnx: a trunk of other widths than the network's"):
        Training(load_plan(plan_file, trunk="lite.onnx"), ALONE)


def test_plans_that_ship_are_sound():
    shipped = ModelCard.load(find("hand_mobile/model.json"))
    for path in sorted(Path(__file__).parents[2].glob("config/train_*.yaml")):
        config = load_plan(path).network_config
        assert config.encoder == "mobile"
        assert config.heatmap_sigma_px == shipped.heatmap_sigma_px


def test_a_loader_pins_every_array_of_a_batch(data, monkeypatch):
    pinned = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: pinned.append(tensor) or tensor)
    batch = RenderedSamples(Shards(data / "train"))[[0, 1]]
    assert len(torch.utils.data._utils.pin_memory.pin_memory(batch)) == 2
    arrays = [
        batch.vertices, batch.joints, batch.joints_px, batch.mask, batch.weights, batch.matrices,
        batch.images, batch.presence, batch.shows,
    ]  # fmt: skip
    assert {id(tensor) for tensor in pinned} == {id(tensor) for tensor in arrays}
