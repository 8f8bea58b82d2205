"""Work to be done, as rows."""

import uuid

from django.db import models
from django.db.models.functions import Now


class JobState(models.TextChoices):
    """What a job row says of itself."""

    READY = "READY", "待機"
    RUNNING = "RUNNING", "実行中"
    DONE = "DONE", "完了"
    QUARANTINED = "QUARANTINED", "隔離"


# READY -> RUNNING (claimed) -> DONE | READY (failed, tried again) | QUARANTINED (given up);
# RUNNING -> RUNNING with a new token when the lease ran out.
TRANSITIONS: dict[str, tuple[str, ...]] = {
    JobState.READY: (JobState.RUNNING,),
    JobState.RUNNING: (JobState.RUNNING, JobState.DONE, JobState.READY, JobState.QUARANTINED),
    JobState.DONE: (),
    JobState.QUARANTINED: (JobState.READY,),
}


class Job(models.Model):
    """One piece of work; `kind` is the Celery task's name, `key` what it is about.

    `due_at` is market time; leases and stamps of execution are the database's own clock,
    because a worker dies in real time.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField("種類", max_length=80)
    key = models.CharField("鍵", max_length=120)
    payload = models.JSONField("引数", default=dict)
    state = models.CharField("状態", max_length=12, choices=JobState, default=JobState.READY)
    due_at = models.DateTimeField("実行予定", help_text="Market time from which it may run.")
    token = models.BigIntegerField(
        "世代", default=0, help_text="Fencing token: grows with each claim."
    )
    lease_until = models.DateTimeField("リース期限", null=True, blank=True)
    not_before = models.DateTimeField(
        "再試行", null=True, blank=True, help_text="Database clock; pause after a failure."
    )
    attempts_count = models.PositiveIntegerField("試行回数", default=0)
    attempts_max = models.PositiveIntegerField("試行上限", default=5)
    step = models.CharField("進捗", max_length=80, blank=True)
    error = models.TextField("直近の失敗", blank=True)
    created_at = models.DateTimeField("作成", db_default=Now())
    started_at = models.DateTimeField("開始", null=True, blank=True)
    finished_at = models.DateTimeField("終了", null=True, blank=True)

    class Meta:
        verbose_name = "ジョブ"
        verbose_name_plural = "ジョブ"
        constraints = [
            models.UniqueConstraint(fields=["kind", "key"], name="job_once_per_key"),
            models.CheckConstraint(condition=models.Q(state__in=JobState.values), name="job_state"),
            models.CheckConstraint(
                condition=models.Q(token__gte=0, attempts_count__lte=1_000_000), name="job_bounds"
            ),
        ]
        indexes = [
            models.Index(
                fields=["due_at"],
                name="job_open_due",
                condition=models.Q(state__in=["READY", "RUNNING"]),
            ),
            # what was given up is counted in the control room again and again
            models.Index(
                fields=["created_at"],
                name="job_given_up",
                condition=models.Q(state="QUARANTINED"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.key} {self.state}"
