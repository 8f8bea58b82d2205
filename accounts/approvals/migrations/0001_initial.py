import accounts.fields.keys
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('parties', '0002_identity_first'),
    ]

    operations = [
        migrations.CreateModel(
            name='Approval',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(help_text='accounts.approvals.kinds.KINDS', max_length=40, verbose_name='種類')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
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
            ],
            options={
                'verbose_name': '承認',
                'verbose_name_plural': '承認',
                'ordering': ['-requested_at', '-id'],
                'indexes': [models.Index(fields=['organisation', 'requested_at', 'id'], name='approval_of')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['REQUESTED', 'APPROVED', 'REJECTED', 'EXPIRED', 'USED'])), name='approval_state'), models.CheckConstraint(condition=models.Q(('maker', models.F('checker')), _negated=True), name='approval_two_people'), models.CheckConstraint(condition=models.Q(('checker', ''), ('checker__startswith', 'user:'), _connector='OR'), name='approval_checked_by_a_person'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['APPROVED', 'REJECTED', 'USED']), models.Q(('checker', ''), _negated=True), ('decided_at__isnull', False)), models.Q(('checker', ''), ('decided_at__isnull', True), ('state__in', ['REQUESTED'])), ('state', 'EXPIRED'), _connector='OR'), name='approval_decided'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'USED'), ('used_at__isnull', False)), models.Q(models.Q(('state', 'USED'), _negated=True), ('used_at__isnull', True)), _connector='OR'), name='approval_used'), models.CheckConstraint(condition=models.Q(('requested_at__lt', models.F('expires_at'))), name='approval_times'), models.UniqueConstraint(condition=models.Q(('state__in', ['REQUESTED', 'APPROVED'])), fields=('kind', 'subject'), name='approval_one_open')],
            },
        ),
    ]
