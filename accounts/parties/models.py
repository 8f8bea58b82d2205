"""Organisations, people and machines."""

import uuid
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.functions import RandomUUID
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models.functions import Lower, Now
from oauth2_provider.models import AbstractApplication

from accounts.core.errors import Refused
from accounts.core.registration import registration_checked
from accounts.fields.keys import uuid7
from accounts.parties.roles import Role


def registration_validate(text: str) -> None:
    """Refuse a registration number whose form or check digit is wrong, wherever it is typed."""
    try:
        registration_checked(text)
    except Refused as refused:
        raise ValidationError(
            "T と13桁の数字（検査数字が正しい法人番号）で入力してください。"
        ) from refused


class OrganisationKind(models.TextChoices):
    """What part a legal party plays in the market."""

    TSO = "TSO", "一般送配電事業者"
    DC_OPERATOR = "DC_OPERATOR", "データセンター事業者"
    FACILITY_OWNER = "FACILITY_OWNER", "施設所有者"
    PATH_OWNER = "PATH_OWNER", "光回線所有者"
    RETAILER = "RETAILER", "小売電気事業者"
    COMPUTE_CUSTOMER = "COMPUTE_CUSTOMER", "計算需要家"
    AGGREGATOR = "AGGREGATOR", "アグリゲーター"


class Organisation(models.Model):  # type: ignore[django-manager-missing]  # of ApiClient
    """A legal party: buys, sells, owns or settles."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.SlugField("コード", max_length=40, unique=True)
    kind = models.CharField("種別", max_length=20, choices=OrganisationKind)
    name = models.CharField("名称", max_length=120)
    name_en = models.CharField("名称（英語）", max_length=120)
    registration_number = models.CharField(
        "登録番号",
        max_length=14,
        blank=True,
        validators=[registration_validate],
        help_text="適格請求書発行事業者の登録番号（T＋13桁）",
    )
    version = models.PositiveIntegerField("版", default=1)
    created_at = models.DateTimeField("登録日時", db_default=Now())

    class Meta:
        verbose_name = "組織"
        verbose_name_plural = "組織"
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kind__in=OrganisationKind.values), name="organisation_kind"
            ),
            models.UniqueConstraint(
                fields=["kind"],
                condition=models.Q(kind="AGGREGATOR"),
                name="organisation_one_aggregator",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. What they may do follows from memberships, not from this row."""

    display_name = models.CharField("表示名", max_length=80, blank=True)

    class Meta(AbstractUser.Meta):
        verbose_name = "利用者"
        verbose_name_plural = "利用者"
        constraints = [
            # an address is a name to sign in by
            models.UniqueConstraint(
                Lower("email"), condition=~models.Q(email=""), name="user_email_once"
            ),
        ]

    def __str__(self) -> str:
        return self.display_name or self.username


class Membership(models.Model):
    """A person's role in an organisation."""

    user = models.ForeignKey(
        User, models.CASCADE, related_name="memberships", verbose_name="利用者"
    )
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="memberships", verbose_name="組織"
    )
    role = models.CharField("役割", max_length=24, choices=Role)
    uid = models.UUIDField(unique=True, editable=False, db_default=RandomUUID())
    version = models.PositiveIntegerField("版", default=1)

    class Meta:
        verbose_name = "所属"
        verbose_name_plural = "所属"
        constraints = [
            models.UniqueConstraint(
                fields=["user", "organisation", "role"], name="membership_once"
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="membership_role"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user} · {self.organisation} · {self.get_role_display()}"


class Invitation(models.Model):
    """A role that waits for a person: by a link that is good once, for 72 hours.

    The link names the invitation and its nonce under our signature; sending it again changes the
    nonce, so that only the latest link is good.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="invitations", verbose_name="組織"
    )
    email = models.EmailField("メールアドレス")
    role = models.CharField("役割", max_length=24, choices=Role)
    nonce = models.UUIDField(default=uuid.uuid4, editable=False)
    invited_by = models.CharField("招待者", max_length=80)
    created_at = models.DateTimeField("招待日時", db_default=Now())
    expires_at = models.DateTimeField("期限")
    sent_at = models.DateTimeField("送信日時", null=True, blank=True)
    revoked_at = models.DateTimeField("取消日時", null=True, blank=True)
    accepted_at = models.DateTimeField("承諾日時", null=True, blank=True)
    accepted_by = models.ForeignKey(
        User, models.PROTECT, null=True, blank=True, related_name="+", verbose_name="承諾者"
    )
    version = models.PositiveIntegerField("版", default=1)

    class Meta:
        verbose_name = "招待"
        verbose_name_plural = "招待"
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=Role.values), name="invitation_role"
            ),
            models.CheckConstraint(
                condition=models.Q(accepted_at=None, accepted_by=None)
                | models.Q(accepted_at__isnull=False, accepted_by__isnull=False, revoked_at=None),
                name="invitation_one_end",
            ),
            models.UniqueConstraint(
                Lower("email"),
                "organisation",
                "role",
                condition=models.Q(accepted_at=None, revoked_at=None),
                name="invitation_open_once",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.email} · {self.organisation} · {self.get_role_display()}"


class ApiClient(AbstractApplication):
    """A machine that acts for an organisation; its secrets are stored hashed.

    It is django-oauth-toolkit's application, of which only what a confidential client with
    client credentials needs is kept: the columns of other flows are removed or are constants
    here, so that no row can ever ask for them. While a rotation's grace lasts two secrets are
    valid.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(
        Organisation, models.CASCADE, related_name="api_clients", verbose_name="組織"
    )
    client_id = models.CharField("クライアントID", max_length=128, unique=True)
    name = models.CharField("名称", max_length=120, blank=True)
    client_secret = models.CharField("秘密鍵（ハッシュ）", max_length=256)
    secret_made_at = models.DateTimeField("秘密鍵の作成日時", db_default=Now())
    previous_secret = models.CharField("旧秘密鍵（ハッシュ）", max_length=256, blank=True)
    previous_until = models.DateTimeField("旧秘密鍵の期限", null=True, blank=True)
    scopes = models.JSONField("スコープ", default=list)
    role = models.CharField(
        "役割",
        max_length=24,
        choices=Role,
        blank=True,
        help_text="APIで行えること。空欄ならAPIは使えない",
    )
    is_active = models.BooleanField("有効", default=True)
    version = models.PositiveIntegerField("版", default=1)
    token_epoch = models.PositiveIntegerField("トークンの世代", default=0)
    created_at = models.DateTimeField("作成日時", db_default=Now())

    # end of the secret by which it was authenticated; not a column
    admitted_until: datetime | None = None

    # what the parent has for flows with people in them; None removes a column
    user = None
    created = None
    updated = None
    hash_client_secret = None
    registration_source = None
    cimd_expires_at = None
    client_type = AbstractApplication.CLIENT_CONFIDENTIAL
    authorization_grant_type = AbstractApplication.GRANT_CLIENT_CREDENTIALS
    redirect_uris = ""
    post_logout_redirect_uris = ""
    allowed_origins = ""
    algorithm = AbstractApplication.NO_ALGORITHM
    skip_authorization = False

    class Meta:
        verbose_name = "APIクライアント"
        verbose_name_plural = "APIクライアント"
        ordering = ["client_id"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(role__in=["", *Role.values]), name="apiclient_role"
            ),
            models.CheckConstraint(
                condition=models.Q(previous_secret="", previous_until=None)
                | ~models.Q(previous_secret="") & models.Q(previous_until__isnull=False),
                name="apiclient_previous_secret_ends",
            ),
        ]

    def __str__(self) -> str:
        return self.client_id

    def clean(self) -> None:
        """Nothing of the parent's flows to check: their columns are not here."""

    def is_usable(self, request: object) -> bool:
        """Whether tokens may be given out at all."""
        del request
        return self.is_active
