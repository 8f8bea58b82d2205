import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clock', '0002_market_now'),
    ]

    operations = [
        migrations.CreateModel(
            name='Job',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=80, verbose_name='種類')),
                ('key', models.CharField(max_length=120, verbose_name='鍵')),
                ('payload', models.JSONField(default=dict, verbose_name='引数')),
                ('state', models.CharField(choices=[('READY', '待機'), ('RUNNING', '実行中'), ('DONE', '完了'), ('QUARANTINED', '隔離')], default='READY', max_length=12, verbose_name='状態')),
                ('due_at', models.DateTimeField(help_text='Market time from which it may run.', verbose_name='実行予定')),
                ('token', models.BigIntegerField(default=0, help_text='Fencing token: grows with each claim.', verbose_name='世代')),
                ('lease_until', models.DateTimeField(blank=True, null=True, verbose_name='リース期限')),
                ('not_before', models.DateTimeField(blank=True, help_text='Database clock; pause after a failure.', null=True, verbose_name='再試行')),
                ('attempts_count', models.PositiveIntegerField(default=0, verbose_name='試行回数')),
                ('attempts_max', models.PositiveIntegerField(default=5, verbose_name='試行上限')),
                ('step', models.CharField(blank=True, max_length=80, verbose_name='進捗')),
                ('error', models.TextField(blank=True, verbose_name='直近の失敗')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='開始')),
                ('finished_at', models.DateTimeField(blank=True, null=True, verbose_name='終了')),
            ],
            options={
                'verbose_name': 'ジョブ',
                'verbose_name_plural': 'ジョブ',
                'indexes': [models.Index(condition=models.Q(('state__in', ['READY', 'RUNNING'])), fields=['due_at'], name='job_open_due')],
                'constraints': [models.UniqueConstraint(fields=('kind', 'key'), name='job_once_per_key'), models.CheckConstraint(condition=models.Q(('state__in', ['READY', 'RUNNING', 'DONE', 'QUARANTINED'])), name='job_state'), models.CheckConstraint(condition=models.Q(('attempts_count__lte', 1000000), ('token__gte', 0)), name='job_bounds')],
            },
        ),
    ]
