"""Shares of a core, as the two versions of control groups are told of them, and where no group can be made."""

from pathlib import Path

import pytest

from bartizan.errors import ConfigError
from bench.shares import First, Second, group, may_hold, quota_of


def test_a_share_comes_anew_after_a_short_period() -> None:
    assert quota_of(0.2) == (2_000, 10_000)
    assert quota_of(1.5) == (15_000, 10_000)


def test_a_share_below_the_least_quota_has_a_longer_period() -> None:
    assert quota_of(0.1) == (1_000, 10_000)
    assert quota_of(0.05) == (1_000, 20_000)


def test_the_first_version_has_two_files_and_lifts_a_limit_by_a_negative_quota() -> None:
    assert First().limit(0.2) == {"cpu.cfs_period_us": "10000", "cpu.cfs_quota_us": "2000"}
    assert First().limit(None) == {"cpu.cfs_quota_us": "-1"}


def test_the_second_version_has_one_file_and_lifts_a_limit_by_a_word() -> None:
    assert Second().limit(0.2) == {"cpu.max": "2000 10000"}
    assert Second().limit(None) == {"cpu.max": "max"}


def test_both_versions_put_a_group_before_others() -> None:
    assert First().weight() == {"cpu.shares": "10240"}
    assert Second().weight() == {"cpu.weight": "1000"}


def test_where_the_first_version_is_not_mounted_it_says_what_would_help(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"no CPU control group can be made: .*Run this as root"),
        group("x", tmp_path),
    ):
        pass


def test_where_the_second_version_hands_nothing_down_it_says_what_would_help(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("memory\n")
    with (
        pytest.raises(ConfigError, match=r"no CPU control group can be made: .*controller `cpu`"),
        group("x", tmp_path),
    ):
        pass


def test_a_folder_that_only_looks_like_the_first_version_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "cpu").mkdir()
    with pytest.raises(ConfigError, match=r"a folder without control groups\. Run this as root"), group("x", tmp_path):
        pass
    assert not list((tmp_path / "cpu").iterdir())


def test_whoever_may_make_no_group_may_hold_nobody(tmp_path: Path) -> None:
    assert not may_hold(tmp_path)
