"""The words of an alert."""

from datetime import date

from tests.unit.notifier.test_plan import closing
from tiendo_notifier.rules.messages import write

DAY = date(2023, 12, 7)
WHO = "Xã Đăk Môn, Huyện Đăk Glei"


def test_a_missed_quota_says_who_what_how_far_and_what_is_needed() -> None:
    seen = closing(target=5_000, value=1_964, done=35)
    message = write("daily_quota_missed", "opened", WHO, "activated", DAY, 1, seen)
    assert message.vi == (
        "Xã Đăk Môn, Huyện Đăk Glei chưa đạt chỉ tiêu kích hoạt ngày 07/12/2023: 35/100, thiếu 65. "
        "Từ nay cần 132 mỗi ngày trong 23 ngày còn lại để đạt 5.000."
    )
    assert message.en == (
        "Xã Đăk Môn, Huyện Đăk Glei missed its activation quota of 7 December 2023: 35 of 100, 65 short. "
        "From now on it needs 132 a day for 23 more days to reach 5,000."
    )


def test_a_worsening_says_how_often_in_a_row() -> None:
    message = write("behind_pace", "worsened", WHO, "intake", DAY, 7, closing(target=5_000, value=1_300))
    assert message.vi == (
        "Xã Đăk Môn, Huyện Đăk Glei chậm tiến độ thu nhận hồ sơ: đến hết ngày 07/12/2023 được 1.300, "
        "kế hoạch 2.700, chậm 1.400. Lần thứ 7 liên tiếp. "
        "Từ nay cần 161 mỗi ngày trong 23 ngày còn lại để đạt 5.000."
    )
    assert "1,300 of the 2,700 planned by 7 December 2023, 1,400 behind. 7 times in a row." in message.en


def test_a_closing_says_what_was_reached() -> None:
    met = write("daily_quota_missed", "closed", WHO, "intake", DAY, 0, closing(target=5_000, done=120))
    assert "đã đạt chỉ tiêu thu nhận hồ sơ ngày 07/12/2023: 120/100." in met.vi
    reached = write("daily_quota_missed", "closed", WHO, "intake", DAY, 0, closing(target=50, value=60))
    assert reached.en == f"{WHO} has reached its intake target. It has 60; the target is 50."
    paced = write("behind_pace", "closed", WHO, "intake", DAY, 0, closing(target=5_000, value=2_600))
    assert "is back on pace with intake: 2,600 of the 2,700 planned" in paced.en


def test_after_the_last_day_it_says_what_is_missing() -> None:
    last = date(2023, 12, 30)
    seen = closing(last, target=5_000, value=4_000)
    message = write("behind_pace", "opened", WHO, "intake", last, 3, seen)
    assert message.vi.endswith("Đã hết thời gian, còn thiếu 1.000 so với chỉ tiêu 5.000.")
    assert message.en.endswith("No day is left; 1,000 are missing to the target of 5,000.")
