import json

import numpy as np
import pytest

from cmr_ros.benchmark import made_up_pairs, stereo
from cmr_ros.benchmark.cases import load_cases
from cmr_ros.benchmark.registration import measure
from cmr_ros.benchmark.simulate import simulate_cases
from cmr_ros.cli import main
from cmr_ros.errors import InputError
from support.registration_hands import cues, hand, placed
from support.shared import SHARED

GOLDEN = SHARED / "golden" / "registration_cases.npz"


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    """A file in the golden layout: six cases, one of each kind, of hands made of tubes."""
    rng = np.random.default_rng(0)
    hands = [placed(rng) for _ in range(6)]
    seen = [cues(*hand, 1.0, rng) for hand in hands]
    # Joints as a linear function of vertices: each tube's ends are rings around them.
    vertices, joints, _ = hand(np.random.default_rng(1))
    regressor = np.zeros((21, len(vertices)))
    for child in range(1, 21):
        first = (child - 1) * 16
        regressor[child, first + 8 : first + 16] = 1 / 8
    regressor[0, 0:8] = 1 / 8
    assert np.allclose(regressor @ vertices, joints)
    path = tmp_path_factory.mktemp("cases") / "cases.npz"
    np.savez(
        path,
        verts=np.stack([h[0] for h in hands]).astype(np.float32),
        uv=np.stack([s.joints_px for s in seen]).astype(np.float32),
        conf=np.stack([s.confidence for s in seen]).astype(np.float32),
        K=np.stack([h[3] for h in hands]).astype(np.float32),
        mask=np.packbits(np.stack([s.silhouette > 0.5 for s in seen]), axis=-1),
        t_true=np.stack([h[4] for h in hands]).astype(np.float32),
        t_published=np.stack([h[4] + [0, 0, 0.02] for h in hands]).astype(np.float32),
        kind=np.arange(6),
        joint_regressor=regressor.astype(np.float32),
        faces=hands[0][2],
    )
    return path


def test_json_has_the_promised_keys(small_file, capsys):
    assert main(["benchmark", "registration", "--cases", str(small_file), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    for errors in (report["root_error_mm"], report["published"]["root_error_mm"]):
        assert set(errors) == {"mean", "median", "p90", "by_kind"}
        assert set(errors["by_kind"]) == set("012345")
    assert report["published"]["root_error_mm"]["mean"] == pytest.approx(20, abs=0.01)
    assert report["ms_per_hand"] > 0 and report["failures"] == 0
    assert report["root_error_mm"]["mean"] < 10


def test_table_and_figure(small_file, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    picture = tmp_path / "figure.png"
    arguments = ["--cases", str(small_file), "--figure", str(picture)]
    assert main(["benchmark", "registration", *arguments]) == 0
    assert "eroded silhouette" in capsys.readouterr().out
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_simulated_cases_repeat_and_differ_by_seed(small_file):
    like = load_cases(small_file)
    one, same, other = (simulate_cases(like, 6, seed) for seed in (1, 1, 2))
    assert np.array_equal(one.seen_px, same.seen_px)
    assert not np.array_equal(one.seen_px, other.seen_px)
    assert (one.confidence[4] < 0.16).sum() == 8
    assert one.published_m is None


def test_two_views_are_never_worse_than_one_and_mostly_far_better(small_file):
    like = load_cases(small_file)
    for kind, name in enumerate(made_up_pairs.STEREO_KINDS):
        row = stereo.measure_pairs(made_up_pairs.simulate_pairs(like, 12, 3, kind=kind))
        assert row["both_mean_mm"] <= 1.02 * row["one_mean_mm"], name
        another = name.startswith("another")
        assert row["joined"] <= 0.1 if another else row["joined"] > 0.8, name
        assert another or row["both_mean_mm"] < 0.6 * row["one_mean_mm"], name


def test_table_of_two_views(small_file, monkeypatch, capsys):
    monkeypatch.setattr(stereo, "BASELINES_M", (0.12,))
    monkeypatch.setattr(stereo, "DISTANCES_M", (0.6,))
    arguments = ["--cases", str(small_file), "--stereo", "2"]
    assert main(["benchmark", "registration", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 8 and lines[-1].startswith("0.12 m apart, hand at 0.6 m")


def test_unusable_files_are_one_clear_error(tmp_path, capsys):
    broken = tmp_path / "broken.npz"
    broken.write_bytes(b"PK no archive")
    with pytest.raises(InputError, match="not a readable"):
        load_cases(broken)
    np.savez(tmp_path / "empty.npz", verts=np.zeros(3))
    assert main(["benchmark", "registration", "--cases", str(tmp_path / "empty.npz")]) == 2
    assert "not a file of cases" in capsys.readouterr().err


@pytest.mark.skipif(not GOLDEN.exists(), reason=f"{GOLDEN} is not there")
def test_golden_cases_stay_within_the_bars():
    report = measure(load_cases(GOLDEN))
    ours, published = report["root_error_mm"], report["published"]["root_error_mm"]
    assert published["mean"] == pytest.approx(17.8, abs=0.05)
    assert ours["mean"] <= 0.80 * published["mean"]
    assert ours["p90"] <= 0.80 * published["p90"]
    for kind, error in ours["by_kind"].items():
        assert error <= published["by_kind"][kind], kind
    assert 0.85 <= report["coverage_90"] <= 0.95
    assert report["failures"] == 0
