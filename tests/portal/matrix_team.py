"""Team pages: for administrators, and notices and preferences for everybody signed in."""

from __future__ import annotations

NOTHING = "00000000-0000-0000-0000-000000000007"
ADMINISTRATORS = (302, 404, 404, 404, 404, 404)
HOOKS = (302, 200, 200, 200, 200, 200)
EVERYBODY = (302, 200, 200, 200, 200, 200)
POSTED = (302, 405, 405, 405, 405, 405)
MATRIX = {
    "/team/": ADMINISTRATORS,
    "/team/invite/": ADMINISTRATORS,
    f"/team/members/{NOTHING}/": ADMINISTRATORS,
    f"/team/members/{NOTHING}/remove/": ADMINISTRATORS,
    f"/team/invitations/{NOTHING}/resend/": POSTED,
    "/team/keys/": ADMINISTRATORS,
    "/team/keys/new/": ADMINISTRATORS,
    f"/team/keys/{NOTHING}/rotate/": ADMINISTRATORS,
    "/team/webhooks/": HOOKS,
    "/team/webhooks/new/": HOOKS,
    f"/team/webhooks/{NOTHING}/": ADMINISTRATORS,
    f"/team/webhooks/{NOTHING}/off/": ADMINISTRATORS,
    f"/team/webhooks/{NOTHING}/messages/{NOTHING}/resend/": POSTED,
    "/team/notices/": EVERYBODY,
    "/team/preferences/": EVERYBODY,
}
