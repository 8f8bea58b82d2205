"""Who people and machines are: sign-in, second factors, lock-out, tokens."""

from datetime import timedelta
from typing import Any

from aggregator.config import env

DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.required("EMAIL_FROM")
EMAIL_TIMEOUT = 10


def mail_server(url: str) -> dict[str, Any]:
    """Return Django's settings for the mail server at `url`."""
    address = env.email_address(url)
    return {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": address.host,
        "EMAIL_PORT": address.port,
        "EMAIL_HOST_USER": address.user,
        "EMAIL_HOST_PASSWORD": address.password,
        "EMAIL_USE_TLS": address.starts_tls,
        "EMAIL_USE_SSL": address.is_tls,
    }


# People: name or e-mail and password, then a second factor; nobody signs up by themselves.
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # first: who is locked out is not even looked up
    "allauth.account.auth_backends.AuthenticationBackend",
]
ACCOUNT_ADAPTER = "aggregator.portal.adapters.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"  # an address is verified by the invitation sent to it
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS = False  # no stranger is written to
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[WattBit] "
ACCOUNT_SESSION_REMEMBER = True
ACCOUNT_SESSION_COOKIE_AGE = 12 * 3600
ACCOUNT_PRESERVE_USERNAME_CASING = True
ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE = False  # the others end, this one stays
# passwords and codes are counted in PostgreSQL, below, so that people sign in without Redis; a
# passkey cannot be guessed
ACCOUNT_RATE_LIMITS = {"login": None, "login_failed": None, "reauthenticate": None}
MFA_RATE_LIMITS = {"webauthn_login": None}
MFA_ADAPTER = "aggregator.portal.adapters.SecondFactorAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_RECOVERY_CODES_SHOW_ONCE = True
MFA_TOTP_ISSUER = "WattBit"
MFA_TOTP_TOLERANCE = 1
MFA_FORMS = {
    "authenticate": "aggregator.portal.codes.CodeForm",
    "reauthenticate": "aggregator.portal.codes.ReauthenticationCodeForm",
}
# The roles that move money or run the market count only for people with a second factor.
SECOND_FACTOR_ROLES: frozenset[str] = frozenset(
    {"market_desk", "settlement", "grid_approver", "administrator"}
)

# Lock-out: of a name from an address, kept in PostgreSQL.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "accounts.parties.addresses.locked_address"
AXES_USERNAME_CALLABLE = "accounts.parties.addresses.locked_name"
AXES_LOCKOUT_CALLABLE = "aggregator.portal.entrance.locked_out"
AXES_ENABLE_ADMIN = False  # its tables are shown by our own
AXES_DISABLE_ACCESS_LOG = True  # the audit trail and the list of sessions tell it
AXES_VERBOSE = False
TRUSTED_PROXIES_COUNT = env.integer("TRUSTED_PROXIES_COUNT", low=0, high=5)

# Machines: tokens by client credentials and nothing else; see aggregator/api/oauth.py.
OAUTH2_PROVIDER_APPLICATION_MODEL = "parties.ApiClient"
OAUTH2_PROVIDER: dict[str, Any] = {
    "OAUTH2_SERVER_CLASS": "oauthlib.oauth2.BackendApplicationServer",
    "OAUTH2_VALIDATOR_CLASS": "aggregator.api.oauth.MachineValidator",
    "ACCESS_TOKEN_GENERATOR": "aggregator.api.oauth.token_text",
    "ACCESS_TOKEN_EXPIRE_SECONDS": 3600,
    "SCOPES": {"api": "What the client's role allows in the API"},
    "DEFAULT_SCOPES": ["api"],
    "OAUTH2_GRANT_TYPES_SUPPORTED": ["client_credentials"],
    "ALLOWED_REDIRECT_URI_SCHEMES": ["https"],
    "REFRESH_TOKEN_REUSE_PROTECTION": True,
    "COMPLIANT_BCP_RFC9700_IMPLICIT_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PASSWORD_GRANT": True,
    "COMPLIANT_BCP_RFC9700_PKCE_METHOD": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
    "COMPLIANT_BCP_RFC9700_AUTHZ_RESPONSE_ISS": True,
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,  # a checksum is kept, never the token
    "COMPLIANT_BCP_RFC9700_REFRESH_TOKEN": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_SCHEME": True,
    "COMPLIANT_BCP_RFC9700_REDIRECT_URI_MATCHING": True,
    "COMPLIANT_BCP_RFC9700_PKCE_REQUIRED": True,
}
