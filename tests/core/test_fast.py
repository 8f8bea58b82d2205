"""The fast road of large books: the optimum it finds is the plain one's, or it says it has none."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from aggregator.ops.bench.instances import changed, document
from market.core import clearing
from market.core.certificate import verify_result
from market.core.fast.chains import Chains, factored
from market.core.fast.errors import RoadClosed
from market.core.fast.interior import Interior
from market.core.fast.linking import Linking, dense_rows, sparse_rows
from market.core.fast.optimum import fast_optimum
from market.core.fast.reduction import reduced
from market.core.fast.threads import GETTERS, _call, _libraries, one_thread
from market.core.programme import LAZY_ROWS, Programme, programme
from market.core.results import result_bytes
from market.core.snapshot import Snapshot, snapshot_from_json

NONE = {name: np.zeros(0, dtype=np.int64) for name in LAZY_ROWS}


@pytest.fixture(scope="module")
def book() -> Snapshot:
    return snapshot_from_json(document("a", 0))


@pytest.fixture(scope="module")
def base(book: Snapshot) -> Programme:
    return programme(book)


def _fast(book: Snapshot, monkeypatch: pytest.MonkeyPatch) -> clearing.Clearing:
    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 0)
    found = clearing.cleared_fast(programme(book))
    assert found is not None
    return found[0]


def test_fast_and_plain_roads_agree_to_the_last_digits(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = _fast(book, monkeypatch)
    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 10**9)
    plain = clearing.clear(book)
    assert fast.objective_jpy == pytest.approx(plain.objective_jpy, rel=1e-12)
    assert fast.bound_jpy == pytest.approx(fast.objective_jpy, rel=1e-12)
    for name in ("balance", "relief"):
        assert fast.dual_jpy_per_kw[name] == pytest.approx(plain.dual_jpy_per_kw[name], abs=1e-6)


def test_ties_are_shared_as_the_plain_road_shares_them(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast = _fast(book, monkeypatch)
    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 10**9)
    plain = clearing.clear(book)
    weight = clearing._award_weight(plain.programme, plain.upper_kw)
    shared = weight > 0
    squares = [float(weight[shared] @ found.x_kw[shared] ** 2) for found in (fast, plain)]
    # Both give columns that nobody is awarded a millionth of the weight, each by its own measure.
    assert squares[0] == pytest.approx(squares[1], rel=1e-5)


def test_a_result_of_the_fast_road_passes_the_verifier(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _fast(book, monkeypatch)
    certificate = verify_result(book.canonical, result_bytes(found))
    assert certificate.passed, certificate.failures


def test_equal_books_go_the_same_road_to_the_last_bit(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = _fast(book, monkeypatch), _fast(book, monkeypatch)
    assert first.x_kw.tobytes() == second.x_kw.tobytes()
    assert first.dual_jpy_per_kw["balance"].tobytes() == second.dual_jpy_per_kw["balance"].tobytes()


def test_a_shape_it_does_not_know_closes_the_road() -> None:
    document_ = document("a", 0)
    site = document_["resources"][0]["id"]
    document_["bids"].append(
        {
            "id": "two-hours",
            "form": "PORTFOLIO",
            "direction": "UP",
            "members": [{"resource": site, "limit_kw": 100.0}],
            "curves": [
                {
                    "first_t": 0,
                    "last_t": 3,
                    "steps": [
                        {"quantity_kw": 50.0, "ask_jpy_per_kwh": 5.0},
                        {"quantity_kw": 50.0, "ask_jpy_per_kwh": 6.0},
                    ],
                }
            ],
        }
    )
    book = snapshot_from_json(document_)
    base = programme(book)
    try:
        fast_optimum(base, NONE, np.ones(base.size))
    except RoadClosed:
        return
    found = clearing.cleared_fast(base)
    assert found is None or found[0].bound_jpy == pytest.approx(found[0].objective_jpy, rel=1e-12)


def _wasteful(gap_max_ratio: float) -> Snapshot:
    """Return a book so full of sun that a lossy store is paid to charge and discharge at once."""
    found = document("a", 0)
    found["rules"]["gap_max_ratio"] = gap_max_ratio
    lossy = next(bid for bid in found["bids"] if bid["form"] == "STORAGE")
    lossy |= {
        "charge_efficiency_ratio": 0.8,
        "discharge_efficiency_ratio": 0.8,
        "wear_jpy_per_kwh": 0.0,
    }
    for need in found["balance_needs"]:
        if need["direction"] == "DOWN":
            need["need_kw"] = [4 * quantity_kw for quantity_kw in need["need_kw"]]
            need["cap_jpy_per_kwh"] = [60.0] * len(need["need_kw"])
    return snapshot_from_json(found)


def test_sides_of_stores_are_decided_where_the_gap_allows_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 0)
    base = programme(_wasteful(0.5))
    relaxed = clearing._on_the_fast_road(base, None, keeps=False)
    assert relaxed is not None
    assert len(clearing.both_ways(relaxed[0])) > 0
    found = clearing.cleared_fast(base)
    assert found is not None
    decided = found[0]
    assert len(clearing.both_ways(decided)) == 0
    assert decided.is_held.any()
    assert decided.bound_jpy == relaxed[0].bound_jpy > decided.objective_jpy
    assert verify_result(decided.snapshot.canonical, result_bytes(decided)).passed
    # Where the rules ask for more, a search must decide.
    assert clearing.cleared_fast(programme(_wasteful(1e-12))) is None


def test_an_answer_that_does_not_prove_itself_is_not_taken(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = fast_optimum

    def spoiled(*arguments: object) -> object:
        found = real(*arguments)
        found.x_mw[0] += 1e-3
        found.dual["balance"][:] += 1e-3
        return found

    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 0)
    monkeypatch.setattr(clearing, "fast_optimum", spoiled)
    assert clearing.cleared_fast(programme(book)) is None


def test_the_system_of_linking_rows_is_the_schur_complement(base: Programme) -> None:
    problem = reduced(base)
    chains = Chains(problem, 48)
    up = np.arange(0, base.headroom.up_kw.size, 97)
    dense = dense_rows(
        problem,
        [
            ("balance", np.arange(len(base.rows["balance"].rhs))),
            ("relief", np.arange(len(base.rows["relief"].rhs))),
            ("headroom_up", up),
        ],
    )
    sparse = sparse_rows(
        problem, [("sold_up", np.arange(0, 60, 3)), ("sold_down", np.arange(0, 150, 3))]
    )
    linking = Linking(problem, chains, dense, sparse)
    along = np.arange(problem.count)
    theta = np.exp(3.0 * np.cos(1.7 * along))
    own = np.where(problem.is_slack, np.exp(np.sin(np.arange(len(problem.is_slack)))), 0.0)
    link = np.where(linking.is_equal, 0.0, np.exp(np.sin(np.arange(linking.m))))
    inner, answer = chains.factor(theta, own)
    found = np.triu(linking.system(theta, link, inner, answer))
    full = np.stack([linking.transposed(row) for row in np.eye(linking.m)])
    local = problem.chain_rows[np.flatnonzero(problem.is_used)]
    square = local @ sp.diags_array(theta) @ local.T + sp.diags_array(own[problem.is_used])
    across = local @ (theta[:, None] * full.T)
    expected = (full * theta) @ full.T - across.T @ splu(sp.csc_matrix(square)).solve(across)
    expected += np.diag(link)
    assert found == pytest.approx(np.triu(expected), abs=1e-9 * np.abs(expected).max())


def test_rows_times_columns_and_the_other_way_round_are_transposes(base: Programme) -> None:
    problem = reduced(base)
    chains = Chains(problem, 48)
    dense = dense_rows(problem, [("balance", np.arange(144)), ("relief", np.arange(20))])
    linking = Linking(problem, chains, dense, sparse_rows(problem, [("sold_up", np.arange(30))]))
    interior = Interior(problem, chains, linking)
    x, y = np.cos(np.arange(problem.count)), np.sin(np.arange(linking.m))
    own = np.sin(2.0 * np.arange(len(problem.chain_rhs))) * problem.is_used
    rows_own, rows_link = interior.times(x)
    assert rows_own @ own + rows_link @ y == pytest.approx(interior.transposed(own, y) @ x)


def test_pivots_of_a_chain_keep_their_digits_where_subtraction_would_lose_them() -> None:
    # N = [[1e-12 + 1, -1], [-1, 1 + 1e-12]]: the second pivot is 1e-12 + 1e-12/(1 + 1e-12) ≈ 2e-12.
    own = np.full((2, 1), 1e-12)
    found = factored(own, np.ones((1, 1)), np.ones((1, 1)), -np.ones((1, 1)))
    assert found.pivot[1, 0] == pytest.approx(2e-12, rel=1e-11)


def test_one_thread_is_kept_inside_and_given_back_after() -> None:
    before = [_call(library, GETTERS) for library in _libraries()]
    with one_thread():
        assert all(_call(library, GETTERS) in (0, 1) for library in _libraries())
    assert [_call(library, GETTERS) for library in _libraries()] == before


def test_a_like_book_goes_on_from_the_run_before(
    book: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clearing, "LARGE_COLUMN_COUNT", 0)
    first = clearing.cleared_fast(programme(book), keeps=True)
    later = programme(snapshot_from_json(changed(document("a", 0), share_ratio=0.05, seed=1)))
    assert first is not None
    assert first[1] is not None
    warm, cold = clearing.cleared_fast(later, first[1]), clearing.cleared_fast(later)
    assert warm is not None
    assert cold is not None
    assert warm[0].objective_jpy == pytest.approx(cold[0].objective_jpy, rel=1e-12)
    assert np.abs(warm[0].x_kw - cold[0].x_kw).max() < 1e-6
    for name in ("balance", "relief"):
        prices = warm[0].dual_jpy_per_kw[name], cold[0].dual_jpy_per_kw[name]
        assert prices[0] == pytest.approx(prices[1], abs=1e-6)
    weight = np.ones(later.size)
    steps = [fast_optimum(later, NONE, weight, kept).iterations for kept in (first[1], None)]
    assert steps[0] < steps[1]


def test_what_is_kept_of_another_book_is_not_used(book: Snapshot) -> None:
    base, other = programme(book), programme(snapshot_from_json(document("a", 1)))
    weight = np.ones(base.size)
    kept = fast_optimum(other, NONE, np.ones(other.size)).kept
    assert kept is not None
    assert kept.on(reduced(base)) is None
    alone, given = fast_optimum(base, NONE, weight), fast_optimum(base, NONE, weight, kept)
    assert np.array_equal(alone.x_mw, given.x_mw)
