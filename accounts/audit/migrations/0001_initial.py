import accounts.audit.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('parties', '0002_identity_first'),
        ('parties', '__first__'),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('at', models.DateTimeField(help_text='Market time of the action.', verbose_name='時刻')),
                ('action', models.CharField(help_text='Dotted past tense: market.bid.submitted.', max_length=80, verbose_name='操作')),
                ('organisation_id', models.UUIDField(blank=True, null=True, verbose_name='組織')),
                ('user', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='担当者')),
                ('actor', models.CharField(default='system', help_text='user:<番号>、client:<ID>、system:<ジョブ>', max_length=120, verbose_name='行為者')),
                ('subject', models.CharField(help_text='Model label and id.', max_length=120, verbose_name='対象')),
                ('detail', models.JSONField(default=dict, verbose_name='内容')),
                ('txid', models.BigIntegerField(db_default=accounts.audit.models.TransactionId(), editable=False, help_text='Says when all that was written together is committed and may be sealed.', verbose_name='トランザクション')),
            ],
            options={
                'verbose_name': '監査記録',
                'verbose_name_plural': '監査記録',
                'indexes': [models.Index(fields=['subject'], name='audit_subject'), models.Index(fields=['action', 'at'], name='audit_action_at'), models.Index(fields=['organisation_id', 'id'], name='audit_organisation'), models.Index(fields=['txid'], name='audit_txid')],
            },
        ),
        migrations.CreateModel(
            name='AuditLink',
            fields=[
                ('number', models.BigIntegerField(help_text='Dense, from 1.', primary_key=True, serialize=False, verbose_name='番号')),
                ('entry', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='link', to='audit.auditentry', verbose_name='監査記録')),
                ('sha256', models.BinaryField(help_text="Of the link before, and the entry's canonical bytes.", max_length=32, verbose_name='ハッシュ')),
            ],
            options={
                'verbose_name': '監査チェーン',
                'verbose_name_plural': '監査チェーン',
                'constraints': [models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='auditlink_number')],
            },
        ),
        migrations.CreateModel(
            name='AuditCheckpoint',
            fields=[
                ('number', models.BigIntegerField(help_text='Dense, from 1.', primary_key=True, serialize=False, verbose_name='番号')),
                ('last_link', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='checkpoint', to='audit.auditlink', verbose_name='最後のリンク')),
                ('count', models.PositiveIntegerField(help_text='Links since the checkpoint before.', verbose_name='件数')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('public_key', models.CharField(help_text='Ed25519', max_length=64, verbose_name='公開鍵')),
                ('signature', models.CharField(max_length=128, verbose_name='署名')),
                ('sealed_at', models.DateTimeField(help_text='Database clock, as signed.', verbose_name='封印日時')),
            ],
            options={
                'verbose_name': '監査チェックポイント',
                'verbose_name_plural': '監査チェックポイント',
                'constraints': [models.CheckConstraint(condition=models.Q(('count__gte', 1), ('number__gte', 1)), name='auditcheckpoint_bounds')],
            },
        ),
    ]
