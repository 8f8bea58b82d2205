"""Money pages: a party's own, the house's books for those who keep them."""

from __future__ import annotations

NOTHING = "00000000-0000-0000-0000-000000000007"
NOBODYS = (302, 404, 404, 404, 404, 404)
# the desk neither reads statements nor keeps books: that is settlement's
PARTIES = (302, 200, 200, 200, 200, 404)
MATRIX = {
    "/money/statements/": PARTIES,
    "/money/statements/?organisation=inzai-dc": (302, 200, 404, 404, 404, 404),
    "/money/statements/inzai-dc/2026-11-25/": NOBODYS,
    "/money/statements/inzai-dc/2026-11-25/lines/": NOBODYS,
    "/money/lines/1/": NOBODYS,
    "/money/documents/": PARTIES,
    f"/money/documents/{NOTHING}/confirm/": NOBODYS,
    "/money/disputes/": PARTIES,
    "/money/disputes/new/?line=1": NOBODYS,
    f"/money/disputes/{NOTHING}/": NOBODYS,
    f"/money/disputes/{NOTHING}/comment/": NOBODYS,
    f"/money/disputes/{NOTHING}/correct/": NOBODYS,
    f"/money/disputes/{NOTHING}/evidence/{NOTHING}/": NOBODYS,
    "/money/closes/": NOBODYS,
    "/money/closes/reconcile/": NOBODYS,
    "/money/payments/": NOBODYS,
    "/money/payments/new/": NOBODYS,
    f"/money/payments/{NOTHING}/": NOBODYS,
    f"/money/payments/{NOTHING}/approve/": NOBODYS,
    f"/money/payments/{NOTHING}/files/ZENGIN/1/": NOBODYS,
    "/money/banks/": NOBODYS,
    "/money/banks/new/": NOBODYS,
    f"/money/banks/{NOTHING}/": NOBODYS,
    f"/money/banks/{NOTHING}/approve/": NOBODYS,
}
