"""Merkle trees against the published vectors of Certificate Transparency, and against cheating."""

from __future__ import annotations

import pytest

from market.trading.merkle import (
    EMPTY_ROOT,
    inclusion_verify,
    leaf_hash,
    node_hash,
    path_of,
    root_of,
)

# The eight leaves and the roots over the first 1 to 8 of them, as the reference implementations of
# RFC 6962 and RFC 9162 publish them.
LEAVES = [
    leaf_hash(bytes.fromhex(text))
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("count", range(1, 9))
def test_the_roots_are_the_published_ones(count: int) -> None:
    assert root_of(LEAVES[:count]).hex() == ROOTS[count - 1]


def test_of_no_leaves_the_root_is_the_hash_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_the_paths_are_the_published_ones() -> None:
    assert [beside.hex() for beside in path_of(LEAVES, 0)] == [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ]
    assert [beside.hex() for beside in path_of(LEAVES, 5)] == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]
    # the third of three joins at the top
    assert [beside.hex() for beside in path_of(LEAVES[:3], 2)] == [ROOTS[1]]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 8, 13, 64, 100])
def test_every_leaf_is_proven_at_its_place_and_nowhere_else(count: int) -> None:
    leaves = [leaf_hash(bytes([number])) for number in range(count)]
    root = root_of(leaves)
    for index, leaf in enumerate(leaves):
        path = path_of(leaves, index)
        assert inclusion_verify(leaf, path, root, index=index, leaf_count=count)
        assert not inclusion_verify(leaf, path, root, index=index + 1, leaf_count=count)
        assert not inclusion_verify(leaf, [*path, root], root, index=index, leaf_count=count)
        assert not inclusion_verify(leaf, path[:-1], root, index=index, leaf_count=count + 1)
        other = leaf_hash(b"another")
        assert not inclusion_verify(other, path, root, index=index, leaf_count=count)


def test_a_node_is_no_leaf() -> None:
    # Without the two prefixes the root of two leaves would also be the root of one.
    root = root_of(LEAVES[:2])
    assert root == node_hash(LEAVES[0], LEAVES[1])
    assert leaf_hash(LEAVES[0] + LEAVES[1]) != root
    # a proof that starts one level up is as short as it should be, but for the wrong count
    four = root_of(LEAVES[:4])
    assert not inclusion_verify(
        root, [node_hash(LEAVES[2], LEAVES[3])], four, index=0, leaf_count=4
    )


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_path_of_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        path_of(LEAVES[:3], index)
    assert not inclusion_verify(LEAVES[0], [], LEAVES[0], index=index, leaf_count=3)
