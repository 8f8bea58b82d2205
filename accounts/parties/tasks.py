"""Mail of invitations: sent by a job, again and again until the mail server takes it."""

from uuid import UUID

from django.core.mail import EmailMessage
from django.db import transaction
from django.urls import reverse

from accounts.jobs.services import Claim, job_finish
from accounts.jobs.tasks import job_task
from accounts.parties.invitations import JOB_KIND, invitation_link, invitation_sent
from accounts.parties.models import Invitation

SUBJECT = "[WattBit] {name}への招待 / Invitation to {name_en}"
BODY = """\
{name}（{role}）に招待されました。次のリンクから72時間以内に登録してください。
リンクは一度だけ使えます。心当たりがないときは、このメールを破棄してください。

You are invited to {name_en} ({role_code}). Accept within 72 hours by this link, which is good
once. If you did not expect it, delete this mail.

{link}
"""


@job_task(JOB_KIND)
def invitation_send(claim: Claim) -> None:
    """Send the link, unless it is no longer the one that is good."""
    row = (
        Invitation.objects.select_related("organisation")
        .filter(
            pk=UUID(claim.payload["invitation"]),
            nonce=UUID(claim.payload["nonce"]),
            accepted_at=None,
            revoked_at=None,
        )
        .first()
    )
    if row is not None:
        path = reverse("account_invitation", args=[invitation_link(row)])
        names = {"name": row.organisation.name, "name_en": row.organisation.name_en}
        EmailMessage(
            SUBJECT.format(**names),
            BODY.format(
                **names,
                role=row.get_role_display(),
                role_code=row.role,
                link=claim.payload["address"].rstrip("/") + path,
            ),
            to=[row.email],
        ).send()
    with transaction.atomic():
        job_finish(claim=claim)
        if row is not None:
            invitation_sent(invitation_id=row.pk)
