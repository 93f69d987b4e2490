"""What follows from a try to deliver."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_notifier.rules.tries import BACKOFF, JITTER, LONGEST_WAIT, Answer, verdict


@given(status=st.integers(200, 299), attempt=st.integers(1, 30))
def test_every_2xx_is_delivered(status: int, attempt: int) -> None:
    assert verdict(Answer(status), attempt, 0.5).state == "delivered"


@pytest.mark.parametrize(
    "answer", [Answer(500), Answer(301), Answer(404), Answer(429), Answer(error="reset")]
)
def test_everything_else_is_tried_again_for_about_a_day_and_then_given_up(answer: Answer) -> None:
    waits = [verdict(answer, attempt, 0.5) for attempt in range(1, len(BACKOFF) + 1)]
    assert {each.state for each in waits} == {"again"}
    assert 20 * 3600 < sum(each.wait for each in waits) < 28 * 3600
    last = verdict(answer, len(BACKOFF) + 1, 0.5)
    assert last.state == "failed"
    assert last.reason is not None
    assert "given up after 12 tries" in last.reason


@given(chance=st.floats(0, 1, exclude_max=True), attempt=st.integers(1, len(BACKOFF)))
def test_jitter_only_lengthens_a_wait_and_by_a_fifth_at_most(chance: float, attempt: int) -> None:
    wait = verdict(Answer(500), attempt, chance).wait
    assert BACKOFF[attempt - 1] <= wait <= BACKOFF[attempt - 1] * (1 + JITTER)


def test_a_receiver_that_asks_for_patience_gets_it_but_not_more_than_a_day() -> None:
    assert verdict(Answer(429, retry_after=40), 1, 0).wait == 40
    assert verdict(Answer(429, retry_after=1), 3, 0).wait == BACKOFF[2]
    assert verdict(Answer(429, retry_after=1e9), 1, 0).wait == LONGEST_WAIT


def test_one_who_is_gone_is_the_end() -> None:
    assert verdict(Answer(410, gone=True), 1, 0.5).state == "gone"
