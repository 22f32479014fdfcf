"""What a run begins with, where that is not there."""

from __future__ import annotations

import pytest

from common.problems import Problem
from retriever.training.models import begin
from retriever.training.recipe import Model


@pytest.mark.parametrize("start", ["runs/none/best", "runs/none", "./none", "{0}/none", "~/none-of-these/x", "a/b/c"])
def test_a_folder_that_is_not_there_is_said_to_be_none(start, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Problem, match=r"^model\.start: there is no folder .*; run the stage before this one, or"):
        begin(Model(start.format(tmp_path)), 0, tmp_path, lambda done, total: None)


def test_what_looks_like_no_path_may_be_a_profile(tmp_path):
    with pytest.raises(Problem, match="^There is no profile 'preflmr'; it can be mini, preflmr-vit-b"):
        begin(Model("preflmr"), 0, tmp_path, lambda done, total: None)
