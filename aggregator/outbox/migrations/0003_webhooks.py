"""Subscriptions to webhooks, and how far causes have become messages."""

import datetime
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


CREATE = """
DROP TRIGGER only_delivery ON outbox_outboxmessage;
CREATE TRIGGER only_delivery BEFORE UPDATE OR DELETE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'attempts_count', 'next_attempt_at', 'status', 'error', 'delivered_at',
        'retry_until');
CREATE TRIGGER never_removed BEFORE UPDATE OR DELETE ON outbox_webhooksubscription
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'url', 'topics', 'secret_sealed', 'secret_before_sealed', 'secret_before_until',
        'is_active', 'confirmed_at', 'version', 'rotated_at', 'removed_at',
        'failures_count', 'paused_until', 'busy_until');
"""

DROP = """
DROP TRIGGER never_removed ON outbox_webhooksubscription;
DROP TRIGGER only_delivery ON outbox_outboxmessage;
CREATE TRIGGER only_delivery BEFORE UPDATE OR DELETE ON outbox_outboxmessage
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'attempts_count', 'next_attempt_at', 'status', 'error', 'delivered_at');
"""


class Migration(migrations.Migration):

    dependencies = [
        ('outbox', '0002_guards'),
        ('parties', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='outboxmessage',
            name='retry_until',
            field=models.DateTimeField(db_default=django.db.models.expressions.CombinedExpression(django.db.models.functions.datetime.Now(), '+', models.Value(datetime.timedelta(days=1))), help_text='Database clock.', verbose_name='再試行の期限'),
        ),
        migrations.AddField(
            model_name='outboxmessage',
            name='topic',
            field=models.CharField(blank=True, max_length=40, verbose_name='種類'),
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
            name='WebhookSubscription',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
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
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
            ],
            options={
                'verbose_name': 'Webhook',
                'verbose_name_plural': 'Webhook',
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.AddField(
            model_name='outboxmessage',
            name='subscription',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='messages', to='outbox.webhooksubscription', verbose_name='Webhook'),
        ),
        migrations.AddIndex(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('subscription__isnull', False)), fields=['subscription', 'created_at', 'id'], name='outbox_of'),
        ),
        migrations.AddIndex(
            model_name='webhooksubscription',
            index=models.Index(fields=['organisation', 'created_at', 'id'], name='webhook_of'),
        ),
        migrations.AddConstraint(
            model_name='webhooksubscription',
            constraint=models.CheckConstraint(condition=models.Q(('topics__contained_by', ['auction.opened', 'auction.closed', 'auction.cancelled', 'need.published', 'result.published', 'award.published', 'instruction.sent', 'statement.issued', 'prequalification.changed', 'audit.checkpoint']), ('topics__len__gte', 1), ('topics__len__lte', 20)), name='webhook_topics'),
        ),
        migrations.AddConstraint(
            model_name='webhooksubscription',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('secret_before_sealed__isnull', True), ('secret_before_until__isnull', True)), models.Q(('secret_before_sealed__isnull', False), ('secret_before_until__isnull', False)), _connector='OR'), name='webhook_secret_before'),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
