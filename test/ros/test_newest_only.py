"""Work beside the thread that hands it over."""

from threading import Event, get_ident

import pytest

pytest.importorskip("rclpy", reason="ROS 2 is not installed")
from cmr_ros.ros.newest_only import NewestOnly

PATIENCE_S = 10.0


def test_of_those_that_wait_the_newest_is_done():
    done, free, begun, last = [], Event(), Event(), Event()
    work = NewestOnly("work")

    def first():
        begun.set()
        free.wait(PATIENCE_S)
        done.append(0)

    work.do(first)
    assert begun.wait(PATIENCE_S)
    for number in range(1, 5):
        work.do(lambda number=number: done.append(number))
    assert not done, "nobody waits for a job"
    free.set()
    work.do(last.set)
    assert last.wait(PATIENCE_S)
    work.end()
    assert done in ([0], [0, 4])


def test_jobs_run_in_order_in_one_thread_of_their_own():
    threads, done = [], []
    work = NewestOnly("work")
    for number in range(5):
        ended = Event()
        work.do(lambda n=number, e=ended: (threads.append(get_ident()), done.append(n), e.set()))
        assert ended.wait(PATIENCE_S)
    work.end()
    assert done == [0, 1, 2, 3, 4] and len(set(threads)) == 1 and threads[0] != get_ident()


def test_what_a_job_raises_is_told_once_and_the_next_one_is_done():
    work = NewestOnly("work")
    work.do(lambda: 1 / 0)
    done = []
    with pytest.raises(ZeroDivisionError):
        for _ in range(1000):
            ended = Event()
            work.do(ended.set)
            ended.wait(PATIENCE_S)
    ended = Event()
    work.do(lambda: (done.append(1), ended.set()))
    assert ended.wait(PATIENCE_S) and done
    work.end()


def test_the_end_waits_for_the_job_under_way():
    done, begun, free = [], Event(), Event()
    work = NewestOnly("work")
    work.do(lambda: (begun.set(), free.wait(PATIENCE_S), done.append("under way")))
    assert begun.wait(PATIENCE_S)
    free.set()
    work.end()
    assert done == ["under way"]
