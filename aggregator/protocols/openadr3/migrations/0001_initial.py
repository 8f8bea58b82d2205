import accounts.fields.keys
import django.contrib.postgres.fields
import django.contrib.postgres.indexes
import django.db.models.deletion
import django.db.models.expressions
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clock', '0002_market_now'),
        ('dispatch', '0001_initial'),
        ('parties', '__first__'),
        ('registry', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Program',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='作成日時')),
                ('modified_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='更新日時')),
                ('body', models.JSONField(help_text='As sent; metadata is stamped on the way out.', verbose_name='本文')),
                ('name', models.CharField(max_length=128, unique=True, verbose_name='名称')),
                ('targets', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=128), blank=True, default=list, size=None)),
            ],
            options={
                'verbose_name': 'OpenADR プログラム',
                'verbose_name_plural': 'OpenADR プログラム',
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='Event',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='作成日時')),
                ('modified_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='更新日時')),
                ('body', models.JSONField(help_text='As sent; metadata is stamped on the way out.', verbose_name='本文')),
                ('program', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='openadr3.program', verbose_name='プログラム')),
                ('key', models.CharField(help_text='What it tells of; makes publishing idempotent.', max_length=80, unique=True, verbose_name='鍵')),
                ('instruction', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='openadr_event', to='dispatch.dispatchinstruction', verbose_name='指令')),
                ('targets', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=128), blank=True, default=list, size=None)),
                ('starts_at', models.DateTimeField(verbose_name='開始')),
                ('ends_at', models.DateTimeField(verbose_name='終了')),
            ],
            options={
                'verbose_name': 'OpenADR イベント',
                'verbose_name_plural': 'OpenADR イベント',
                'ordering': ['created_at', 'id'],
                'indexes': [django.contrib.postgres.indexes.GinIndex(fields=['targets'], name='openadr_event_targets'), models.Index(fields=['ends_at'], name='openadr_event_active')],
                'constraints': [models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='openadr_event_times')],
            },
        ),
        migrations.CreateModel(
            name='Ven',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='作成日時')),
                ('modified_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='更新日時')),
                ('body', models.JSONField(help_text='As sent; metadata is stamped on the way out.', verbose_name='本文')),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='vens', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='クライアント')),
                ('name', models.CharField(max_length=128, unique=True, verbose_name='名称')),
                ('targets', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=128), blank=True, default=list, size=None)),
            ],
            options={
                'verbose_name': 'OpenADR VEN',
                'verbose_name_plural': 'OpenADR VEN',
                'ordering': ['created_at', 'id'],
            },
        ),
        migrations.CreateModel(
            name='VenResource',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='作成日時')),
                ('modified_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='更新日時')),
                ('body', models.JSONField(help_text='As sent; metadata is stamped on the way out.', verbose_name='本文')),
                ('ven', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='resources', to='openadr3.ven', verbose_name='VEN')),
                ('name', models.CharField(max_length=128, verbose_name='名称')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ven_resources', to='registry.resource', verbose_name='リソース')),
                ('targets', django.contrib.postgres.fields.ArrayField(base_field=models.CharField(max_length=128), blank=True, default=list, size=None)),
            ],
            options={
                'verbose_name': 'OpenADR リソース',
                'verbose_name_plural': 'OpenADR リソース',
                'ordering': ['created_at', 'id'],
                'constraints': [models.UniqueConstraint(fields=('ven', 'name'), name='openadr_resource_name')],
            },
        ),
        migrations.CreateModel(
            name='Report',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('created_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='作成日時')),
                ('modified_at', models.DateTimeField(db_default=django.db.models.expressions.RawSQL('market_now()', ()), verbose_name='更新日時')),
                ('body', models.JSONField(help_text='As sent; metadata is stamped on the way out.', verbose_name='本文')),
                ('event', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reports', to='openadr3.event', verbose_name='イベント')),
                ('client', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='reports', to=settings.OAUTH2_PROVIDER_APPLICATION_MODEL, verbose_name='クライアント')),
                ('client_name', models.CharField(max_length=128, verbose_name='送信者名')),
            ],
            options={
                'verbose_name': 'OpenADR 報告',
                'verbose_name_plural': 'OpenADR 報告',
                'ordering': ['created_at', 'id'],
                'indexes': [models.Index(fields=['client', 'created_at'], name='openadr_report_of')],
            },
        ),
    ]
