"""Stages are timed while somebody listens, and only then."""

import threading

import pytest

from cmr_ros.stages import listening, stage


def test_a_listener_hears_of_stages_inside_its_block_alone():
    heard = []
    with stage("before"):
        pass
    with listening(lambda name, seconds: heard.append((name, seconds))):
        with stage("outer"), stage("inner"):
            pass
        with pytest.raises(ValueError), stage("failed"):
            raise ValueError
    with stage("after"):
        pass
    assert [name for name, _ in heard] == ["inner", "outer", "failed"]
    assert 0 <= heard[0][1] <= heard[1][1]


def test_other_threads_are_not_heard():
    def work():
        with stage("elsewhere"):
            pass

    heard = []
    with listening(lambda name, seconds: heard.append(name)):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert heard == []
