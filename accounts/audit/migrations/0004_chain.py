"""The chain that seals the audit trail, its checkpoints, and who acted in which transaction."""

import accounts.audit.models
import django.db.models.deletion
from django.conf import settings
from django.db import migrations, models


TABLES = ("audit_auditlink", "audit_auditcheckpoint")

CREATE = "".join(
    f"""
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""
    for table in TABLES
)

DROP = "".join(
    f"DROP TRIGGER append_only_all ON {table}; DROP TRIGGER append_only ON {table};"
    for table in TABLES
)


class Migration(migrations.Migration):

    dependencies = [
        ('audit', '0003_guards'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='AuditCheckpoint',
            fields=[
                ('number', models.BigIntegerField(help_text='Dense, from 1.', primary_key=True, serialize=False, verbose_name='番号')),
                ('count', models.PositiveIntegerField(help_text='Links since the checkpoint before.', verbose_name='件数')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('public_key', models.CharField(help_text='Ed25519', max_length=64, verbose_name='公開鍵')),
                ('signature', models.CharField(max_length=128, verbose_name='署名')),
                ('sealed_at', models.DateTimeField(help_text='Database clock, as signed.', verbose_name='封印日時')),
            ],
            options={
                'verbose_name': '監査チェックポイント',
                'verbose_name_plural': '監査チェックポイント',
            },
        ),
        migrations.CreateModel(
            name='AuditLink',
            fields=[
                ('number', models.BigIntegerField(help_text='Dense, from 1.', primary_key=True, serialize=False, verbose_name='番号')),
                ('sha256', models.BinaryField(help_text="Of the link before, and the entry's canonical bytes.", max_length=32, verbose_name='ハッシュ')),
            ],
            options={
                'verbose_name': '監査チェーン',
                'verbose_name_plural': '監査チェーン',
            },
        ),
        migrations.AddField(
            model_name='auditentry',
            name='actor',
            field=models.CharField(default='system', help_text='user:<番号>、client:<ID>、system:<ジョブ>', max_length=120, verbose_name='行為者'),
        ),
        migrations.AddField(
            model_name='auditentry',
            name='txid',
            field=models.BigIntegerField(db_default=accounts.audit.models.TransactionId(), editable=False, help_text='Says when all that was written together is committed and may be sealed.', verbose_name='トランザクション'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['organisation_id', 'id'], name='audit_organisation'),
        ),
        migrations.AddIndex(
            model_name='auditentry',
            index=models.Index(fields=['txid'], name='audit_txid'),
        ),
        migrations.AddField(
            model_name='auditlink',
            name='entry',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='link', to='audit.auditentry', verbose_name='監査記録'),
        ),
        migrations.AddField(
            model_name='auditcheckpoint',
            name='last_link',
            field=models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='checkpoint', to='audit.auditlink', verbose_name='最後のリンク'),
        ),
        migrations.AddConstraint(
            model_name='auditlink',
            constraint=models.CheckConstraint(condition=models.Q(('number__gte', 1)), name='auditlink_number'),
        ),
        migrations.AddConstraint(
            model_name='auditcheckpoint',
            constraint=models.CheckConstraint(condition=models.Q(('count__gte', 1), ('number__gte', 1)), name='auditcheckpoint_bounds'),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
