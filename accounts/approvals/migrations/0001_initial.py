"""Requests for a second person, which nobody can decide for himself nor change afterwards."""

import django.db.models.deletion
import uuid
from django.db import migrations, models


from accounts.approvals.models import APPROVAL_TRANSITIONS

EDGES = ", ".join(f"'{a}>{b}'" for a, after in APPROVAL_TRANSITIONS.items() for b in after)

CREATE = f"""
CREATE TRIGGER transitions BEFORE UPDATE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_transitions({EDGES});
CREATE TRIGGER only_decision BEFORE UPDATE OR DELETE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'checker', 'decided_at', 'decision_reason', 'used_at');
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON approvals_approval
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();

-- a request begins undecided, and a decision is made once
CREATE FUNCTION guard_approval() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        IF NEW.state <> 'REQUESTED' THEN
            RAISE EXCEPTION 'an approval begins as REQUESTED, not %', NEW.state
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    ELSIF OLD.checker <> '' AND
          (NEW.checker, NEW.decided_at, NEW.decision_reason)
          IS DISTINCT FROM (OLD.checker, OLD.decided_at, OLD.decision_reason) THEN
        RAISE EXCEPTION 'a decision is made once'
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER decided_once BEFORE INSERT OR UPDATE ON approvals_approval
    FOR EACH ROW EXECUTE FUNCTION guard_approval();
"""

DROP = """
DROP TRIGGER decided_once ON approvals_approval;
DROP FUNCTION guard_approval();
DROP TRIGGER append_only_all ON approvals_approval;
DROP TRIGGER only_decision ON approvals_approval;
DROP TRIGGER transitions ON approvals_approval;
"""


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('audit', '0003_guards'),
        ('parties', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(help_text='accounts.approvals.kinds.KINDS', max_length=40, verbose_name='種類')),
                ('subject', models.CharField(help_text='Model label and id.', max_length=120, verbose_name='対象')),
                ('content_sha256', models.CharField(max_length=64, verbose_name='内容のハッシュ')),
                ('detail', models.JSONField(default=dict, help_text='What the checker is shown.', verbose_name='内容')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='申請理由')),
                ('maker', models.CharField(max_length=120, verbose_name='申請者')),
                ('checker', models.CharField(blank=True, max_length=120, verbose_name='承認者')),
                ('decision_reason', models.CharField(blank=True, max_length=200, verbose_name='判断理由')),
                ('state', models.CharField(choices=[('REQUESTED', '申請中'), ('APPROVED', '承認'), ('REJECTED', '却下'), ('EXPIRED', '失効'), ('USED', '実行済')], default='REQUESTED', max_length=10, verbose_name='状態')),
                ('requested_at', models.DateTimeField(help_text='Market time.', verbose_name='申請日時')),
                ('expires_at', models.DateTimeField(help_text='Market time.', verbose_name='期限')),
                ('decided_at', models.DateTimeField(blank=True, null=True, verbose_name='判断日時')),
                ('used_at', models.DateTimeField(blank=True, null=True, verbose_name='実行日時')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
            ],
            options={
                'verbose_name': '承認',
                'verbose_name_plural': '承認',
                'ordering': ['-requested_at', '-id'],
                'indexes': [models.Index(fields=['organisation', 'requested_at', 'id'], name='approval_of')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['REQUESTED', 'APPROVED', 'REJECTED', 'EXPIRED', 'USED'])), name='approval_state'), models.CheckConstraint(condition=models.Q(('maker', models.F('checker')), _negated=True), name='approval_two_people'), models.CheckConstraint(condition=models.Q(('checker', ''), ('checker__startswith', 'user:'), _connector='OR'), name='approval_checked_by_a_person'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['APPROVED', 'REJECTED', 'USED']), models.Q(('checker', ''), _negated=True), ('decided_at__isnull', False)), models.Q(('checker', ''), ('decided_at__isnull', True), ('state__in', ['REQUESTED'])), ('state', 'EXPIRED'), _connector='OR'), name='approval_decided'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'USED'), ('used_at__isnull', False)), models.Q(models.Q(('state', 'USED'), _negated=True), ('used_at__isnull', True)), _connector='OR'), name='approval_used'), models.CheckConstraint(condition=models.Q(('requested_at__lt', models.F('expires_at'))), name='approval_times'), models.UniqueConstraint(condition=models.Q(('state__in', ['REQUESTED', 'APPROVED'])), fields=('kind', 'subject'), name='approval_one_open')],
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
