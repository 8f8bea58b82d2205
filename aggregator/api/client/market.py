"""The market as an operator's system uses it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self
from uuid import UUID

import httpx

from aggregator.api.client.proofs import Broken, inclusion_check, offer_check, receipt_check
from aggregator.api.client.rows import Auction, Bid, Instruction, Need, Receipt, Submission, Taken
from aggregator.api.client.transport import Transport

Body = Mapping[str, Any]


class WattBit:
    """One machine at the market.

    >>> with WattBit("https://market.example.jp", client_id="…", client_secret="…") as market:
    ...     auction = next(market.auctions(state="OPEN"))                  # doctest: +SKIP
    ...     market.bids_submit(auction.code, [bid], key="evening-1")

    Parameters
    ----------
    base_url
        Of the platform.
    client_id, client_secret
        Of the machine; leave them out to read public results.
    inner
        An httpx transport in place of the network, for tests.

    Raises
    ------
    Problem
        From every method: the platform refuses, and says why.
    Unreachable
        From every method: no answer after all attempts.
    """

    def __init__(
        self,
        base_url: str,
        *,
        client_id: str = "",
        client_secret: str = "",
        timeout_s: float = 10.0,
        inner: httpx.BaseTransport | None = None,
    ) -> None:
        self._line = Transport(
            base_url=base_url,
            client_id=client_id,
            client_secret=client_secret,
            timeout_s=timeout_s,
            inner=inner,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._line.close()

    # Public

    def auctions(self, *, state: str | None = None) -> Iterator[Auction]:
        """Yield auctions, the latest delivery day first."""
        return map(Auction.read, self._line.pages("/auctions", {"state": state}))

    def auction(self, code: str) -> Auction:
        """Return one auction."""
        return Auction.read(self._line.get(f"/auctions/{code}").body)

    def needs(self, auction: str) -> Iterator[Need]:
        """Yield what grid operators ask of an auction."""
        return map(Need.read, self._line.pages("/needs", {"auction": auction}))

    def prices(self, auction: str) -> Body:
        """Return the published prices of an auction, by need, area and place."""
        found: Body = self._line.get(f"/auctions/{auction}/prices").body
        return found

    # Bids

    def bids_submit(
        self, auction: str, bids: Sequence[Body], *, key: str | None = None
    ) -> Submission:
        """Put bids into the book, all or none; sent again under the same key nothing happens twice.

        The receipt is checked against the key that the market publishes before it is returned.

        Parameters
        ----------
        bids
            Up to 5,000, as ``docs/api.md`` says; numbers as decimal text.
        key
            Your name of this act; keep it until you have the answer.

        Raises
        ------
        Broken
            The receipt is not what the market would sign: do not rely on it.
        """
        body = self._line.post(f"/auctions/{auction}/bids", {"bids": list(bids)}, key=key).body
        receipts = tuple(map(Receipt.read, body["receipts"]))
        if body["signed"] is not None:
            self.receipt_check(body["signed"])
        _is_of_this(body["signed"], auction, bids, receipts)
        return Submission(receipts=receipts, signed=body["signed"])

    def bids(self, *, auction: str | None = None, state: str | None = None) -> Iterator[Bid]:
        """Yield own bids, the newest first."""
        return map(Bid.read, self._line.pages("/bids", {"auction": auction, "state": state}))

    def bid_withdraw(self, bid_id: UUID | str) -> None:
        """Take the current version of a bid out of the book."""
        path = f"/bids/{bid_id}"
        self._line.change("DELETE", path, etag=self._line.get(path).etag)

    def receipt_check(self, receipt: Body) -> None:
        """Check a signed receipt against the keys that the market publishes now.

        Raises
        ------
        Broken
            If no published key signed it.
        """
        for key in self._line.get("/keys").body["receipt_keys"]:
            if key["id"] == receipt["key"]:
                receipt_check(receipt, base64.b64decode(key["public_key"]))
                return
        raise Broken("the receipt names a key that is not published")

    def inclusion_check(self, bid_id: UUID | str, *, leaf: str) -> Body | None:
        """Check that a bid of yours is in the closed book whose root was published.

        Parameters
        ----------
        leaf
            Of your receipt, not of any later answer.

        Returns
        -------
        Mapping or None
            Once the book is opened, ``header`` and ``content`` as they were hashed: compare them
            with what you sent.

        Raises
        ------
        Broken
            If it is not; your receipt proves it.
        """
        bid = Bid.read(self._line.get(f"/bids/{bid_id}").body)
        root = self._line.get(f"/auctions/{bid.auction}/book-root").body["merkle_root"]
        proof = self._line.get(f"/bids/{bid_id}/inclusion").body
        inclusion_check(proof, leaf=leaf, root=root)
        return None if proof["salt"] is None else offer_check(proof, leaf=leaf)

    # Delivery

    def instructions(self, *, state: str | None = None) -> Iterator[Instruction]:
        """Yield own instructions."""
        return map(Instruction.read, self._line.pages("/instructions", {"state": state}))

    def instruction_acknowledge(self, instruction_id: UUID | str) -> Instruction:
        """Say that it will be done."""
        path = f"/instructions/{instruction_id}/acknowledge"
        return Instruction.read(self._line.post(path, {}).body)

    def instruction_opt_out(self, instruction_id: UUID | str, *, reason: str) -> Instruction:
        """Say that it will not be done, and why."""
        path = f"/instructions/{instruction_id}/opt-out"
        return Instruction.read(self._line.post(path, {"reason": reason}).body)

    def readings_submit(self, series: Sequence[Body], *, key: str | None = None) -> Taken:
        """Send half hours of meters: ``point_number``, ``start_at`` and ``energy_kwh`` each."""
        return Taken.read(self._line.post("/readings", {"series": list(series)}, key=key).body)

    def statements(self) -> Iterator[Body]:
        """Yield own statements."""
        return self._line.pages("/statements")


def _is_of_this(
    signed: Body | None, auction: str, bids: Sequence[Body], receipts: Sequence[Receipt]
) -> None:
    """Refuse a receipt that is genuine but of something else, such as one of yesterday."""
    names = [bid.get("client_bid_id") for bid in bids]
    if [receipt.client_bid_id for receipt in receipts] != names:
        raise Broken("the answer names other bids than were sent")
    new = [(one.client_bid_id, one.version, one.leaf_sha256) for one in receipts if one.is_new]
    if signed is None:
        if new:
            raise Broken("new bids without a receipt")
        return
    held = [(one["client_bid_id"], one["version"], one["leaf"]) for one in signed["bids"]]
    if signed["auction"] != auction or held != new:
        raise Broken("the receipt is of other bids")
