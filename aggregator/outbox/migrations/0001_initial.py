import accounts.fields.keys
import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('parties', '0002_identity_first'),
    ]

    operations = [
        migrations.CreateModel(
            name='WebhookSubscription',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
                ('url', models.CharField(max_length=2000, verbose_name='宛先')),
                ('topics', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('auction.opened', '募集開始'), ('auction.closed', '入札締切'), ('auction.cancelled', 'オークション取消'), ('need.published', '必要量の公表'), ('result.published', '約定結果の公表'), ('award.published', '自社の約定'), ('instruction.sent', '自社への指令'), ('statement.issued', '自社の明細書'), ('prequalification.changed', '事前審査の進捗'), ('audit.checkpoint', '監査チェックポイント')], max_length=40), size=None, verbose_name='通知の種類')),
                ('secret_sealed', models.BinaryField(verbose_name='秘密鍵（暗号化）')),
                ('secret_before_sealed', models.BinaryField(blank=True, null=True, verbose_name='前の秘密鍵（暗号化）')),
                ('secret_before_until', models.DateTimeField(blank=True, null=True, verbose_name='前の秘密鍵の期限')),
                ('is_active', models.BooleanField(default=True, verbose_name='有効')),
                ('confirmed_at', models.DateTimeField(blank=True, null=True, verbose_name='宛先確認')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
                ('rotated_at', models.DateTimeField(blank=True, null=True, verbose_name='鍵の更新')),
                ('removed_at', models.DateTimeField(blank=True, null=True, verbose_name='削除日時')),
                ('failures_count', models.PositiveIntegerField(default=0, verbose_name='連続失敗')),
                ('paused_until', models.DateTimeField(blank=True, null=True, verbose_name='休止')),
                ('busy_until', models.DateTimeField(blank=True, help_text='One message at a time is under way.', null=True, verbose_name='送信中')),
            ],
            options={
                'verbose_name': 'Webhook',
                'verbose_name_plural': 'Webhook',
                'ordering': ['created_at', 'id'],
                'indexes': [models.Index(fields=['organisation', 'created_at', 'id'], name='webhook_of')],
                'constraints': [models.CheckConstraint(condition=models.Q(('topics__contained_by', ['auction.opened', 'auction.closed', 'auction.cancelled', 'need.published', 'result.published', 'award.published', 'instruction.sent', 'statement.issued', 'prequalification.changed', 'audit.checkpoint']), ('topics__len__gte', 1), ('topics__len__lte', 20)), name='webhook_topics'), models.CheckConstraint(condition=models.Q(models.Q(('secret_before_sealed__isnull', True), ('secret_before_until__isnull', True)), models.Q(('secret_before_sealed__isnull', False), ('secret_before_until__isnull', False)), _connector='OR'), name='webhook_secret_before')],
            },
        ),
        migrations.CreateModel(
            name='WebhookCursor',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('link_number', models.BigIntegerField(default=0, verbose_name='監査リンク')),
                ('checkpoint_number', models.BigIntegerField(default=0, verbose_name='監査チェックポイント')),
            ],
            options={
                'verbose_name': 'Webhookの位置',
                'verbose_name_plural': 'Webhookの位置',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='webhookcursor_one')],
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('destination', models.CharField(max_length=2000, verbose_name='宛先')),
                ('content_type', models.CharField(default='application/json', max_length=80, verbose_name='形式')),
                ('body', models.TextField(verbose_name='本文')),
                ('cause', models.CharField(help_text='Model label and id of what the message tells of.', max_length=120, verbose_name='原因')),
                ('subscription', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='outbox.webhooksubscription', verbose_name='Webhook')),
                ('topic', models.CharField(blank=True, max_length=40, verbose_name='種類')),
                ('state', models.CharField(choices=[('WAITING', '送信待ち'), ('DELIVERED', '送達'), ('DEAD', '送信断念')], default='WAITING', max_length=10, verbose_name='状態')),
                ('attempts_count', models.PositiveIntegerField(default=0, verbose_name='試行回数')),
                ('next_attempt_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), help_text='Database clock: the receiver lives in real time.', verbose_name='次の試行')),
                ('status', models.PositiveSmallIntegerField(blank=True, null=True, verbose_name='直近の応答')),
                ('error', models.CharField(blank=True, max_length=200, verbose_name='直近の失敗')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
                ('retry_until', models.DateTimeField(db_default=django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.Now(), '+', models.Value(datetime.timedelta(days=1))), help_text='Database clock.', verbose_name='再試行の期限')),
                ('delivered_at', models.DateTimeField(blank=True, null=True, verbose_name='送達日時')),
            ],
            options={
                'verbose_name': '送信メッセージ',
                'verbose_name_plural': '送信メッセージ',
                'ordering': ['created_at', 'id'],
                'indexes': [models.Index(condition=models.Q(('state', 'WAITING')), fields=['next_attempt_at'], name='outbox_due'), models.Index(condition=models.Q(('subscription__isnull', False)), fields=['subscription', 'created_at', 'id'], name='outbox_of')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['WAITING', 'DELIVERED', 'DEAD'])), name='outbox_state'), models.CheckConstraint(condition=models.Q(('attempts_count__lte', 1000000)), name='outbox_attempts'), models.CheckConstraint(condition=models.Q(('status__isnull', True), models.Q(('status__gte', 100), ('status__lte', 999)), _connector='OR'), name='outbox_status')],
            },
        ),
    ]
