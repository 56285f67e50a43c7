"""`cmr table` and the published figures in it."""

import json

import pytest

from cmr_ros.cli import main
from cmr_ros.errors import InputError
from cmr_ros.evaluation.published import table


def rows_of(number, **measured):
    _, titles, rows = table(number, **measured)
    assert all(len(row) == len(titles) for row in rows)
    return [dict(zip(titles, row, strict=True)) for row in rows]


def test_published_rows_are_marked():
    for number, count in (("1", 4), ("2", 10), ("3", 7)):
        rows = rows_of(number)
        assert len(rows) == count and {row["source"] for row in rows} == {"paper"}
    assert rows_of("1")[0]["PA-MPJPE"] == "8.82"
    assert rows_of("2")[-1]["PA-MPJPE"] == "6.9" and rows_of("2")[2]["PA-MPJPE"] == "11.0"
    assert rows_of("3")[-1]["CS-MPJPE"] == "48.8"


def test_measured_rows_say_what_was_measured(tmp_path, capsys):
    figures = {
        "method": "mine", "dataset": "freihand, truth crops", "images": 7, "misses": 1,
        "pa_mpjpe_mm": 8.23, "pa_j_auc": 0.8125, "cs_mpjpe_mm": 40.5,
    }  # fmt: skip
    path = tmp_path / "a.json"
    path.write_text(json.dumps(figures))
    own = rows_of("2", results=[path])[-1]
    assert own["Method"] == "mine" and own["PA-MPJPE"] == "8.2" and own["F@5 mm"] == "-"
    assert own["source"] == "measured: freihand, truth crops, 7 images, 1 missed"
    assert main(["table", "3", "--results", str(path), "-o", str(tmp_path / "t.md")]) == 0
    assert "40.5" in capsys.readouterr().out
    assert "| paper | CMR-SG | ResNet50 | 48.8 |" in (tmp_path / "t.md").read_text()


@pytest.mark.parametrize("content", [None, "{", "[]", '{"images": 3}'])
def test_results_that_are_none(tmp_path, content):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InputError, match="cmr evaluate --json"):
        table("2", [path])


def test_ablations_are_means_over_seeds(tmp_path):
    torch = pytest.importorskip("torch")
    for index, (ism, error) in enumerate([(True, 7.0), (True, 8.0), (False, 9.0)]):
        folder = tmp_path / str(index)
        folder.mkdir()
        decoder = {"inception": ism, "multi_scale": ism, "self_regression": ism}
        decoder["start"] = 16 if ism else 0
        metrics = {"pa_mpjpe_mm": error, "pa_mpvpe_mm": error + 1}
        state = {"config": json.dumps({"decoder": decoder}), "metrics": metrics, "epoch": 1}
        torch.save(state, folder / "last.pt")
    plain, full = rows_of("1", runs=[tmp_path / str(i) for i in range(3)])[4:]
    assert (plain["ISM"], plain["PA-MPJPE"]) == ("", "9.00")
    assert (full["ISM"], full["PA-MPJPE"]) == ("x", "7.50 +- 0.71")
    assert plain["source"] == "measured: renders, 1 runs"
    assert full["source"] == "measured: renders, 2 runs, from a start"
    with pytest.raises(InputError, match="no such file"):
        table("1", runs=[tmp_path / "none"])
