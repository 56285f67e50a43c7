"""Model folders by name."""

import pytest

from cmr_ros.errors import InputError
from cmr_ros.model import weights


def test_models_have_names(monkeypatch):
    monkeypatch.setattr(weights, "find", lambda name: f"weights/{name}")
    assert weights.hand_network("exact") == weights.hand_network() == "weights/hand_mobile"
    assert weights.hand_network("lite") == "weights/hand_lite"


def test_a_folder_is_taken_as_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert weights.hand_network(tmp_path) == tmp_path
    with pytest.raises(InputError, match="nowhere: no model folder, and no model's name: exact, l"):
        weights.hand_network("nowhere")


def test_named_weights_that_are_not_there_are_one_clear_error(monkeypatch):
    monkeypatch.setitem(weights.HAND_NETWORKS, "lite", "hand_nothing")
    with pytest.raises(InputError, match="weights/hand_nothing.*install the package again"):
        weights.hand_network("lite")
