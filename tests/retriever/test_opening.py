"""Which index is opened: one, one in shards in this process, or one whose shards are searched elsewhere."""

import pytest

from common.problems import Problem
from retriever.cluster.over import Over
from retriever.index import LateInteractionIndex
from retriever.opening import is_index, open_index, open_there
from retriever.sharding.merged import MergedIndex
from retriever.sharding.publishing import create
from tests.fakes.small_encoder import SmallEncoder
from tests.support.shards import codebook_of, made_up_passages


@pytest.fixture
def sharded(tmp_path):
    encoder = SmallEncoder()
    codebook = codebook_of(made_up_passages(60, dim=encoder.dim))
    create(tmp_path / "index", encoder.dim, encoder.fingerprint, 4, codebook, 2)
    return tmp_path / "index"


def test_a_sharded_index_is_opened_as_one(sharded, tmp_path):
    encoder = SmallEncoder()
    assert is_index(sharded) and isinstance(open_index(sharded, encoder), MergedIndex)
    with open_index(sharded, encoder, write=True) as index:
        assert isinstance(index, MergedIndex) and len(index) == 0
    assert not is_index(tmp_path / "none") and open_index(tmp_path / "none", encoder) is None
    with open_index(tmp_path / "one", encoder, write=True) as index:
        assert isinstance(index, LateInteractionIndex) and not isinstance(index, MergedIndex)


def test_nobody_answers_for_the_cluster(sharded, tmp_path):
    over = Over("127.0.0.1:1", 1, tmp_path / "cache")
    with pytest.raises(Problem, match="No Ray cluster answers at 127.0.0.1:1"):
        open_index(sharded, SmallEncoder(), over=over)
    with open_index(sharded, SmallEncoder(), write=True, over=over) as index:  # written to where it lies
        assert isinstance(index, MergedIndex)
    with open_there(tmp_path / "index", over=None) as index:
        assert isinstance(index, MergedIndex)

