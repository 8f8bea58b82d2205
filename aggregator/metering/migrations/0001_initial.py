import django.contrib.postgres.fields
import django.core.validators
import django.db.models.deletion
import django.db.models.expressions
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clearing', '0001_initial'),
        ('registry', '0001_initial'),
        ('trading', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Meter',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('point_number', models.CharField(max_length=22, unique=True, validators=[django.core.validators.RegexValidator('^(0[1-9]|10)\\d{20}$', '22桁の数字で入力してください。')], verbose_name='地点特定番号')),
                ('resource', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='meter', to='registry.resource', verbose_name='リソース')),
                ('site', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grid_meter', to='registry.site', verbose_name='拠点（受電点）')),
            ],
            options={
                'verbose_name': '計量器',
                'verbose_name_plural': '計量器',
                'ordering': ['point_number'],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('resource__isnull', False), ('site__isnull', True)), models.Q(('resource__isnull', True), ('site__isnull', False)), _connector='OR'), name='meter_of_one'), models.CheckConstraint(condition=models.Q(('point_number__regex', '^(0[1-9]|10)[0-9]{20}$')), name='meter_point_number')],
            },
        ),
        migrations.CreateModel(
            name='IntervalReading',
            fields=[
                ('id', models.BigIntegerField(primary_key=True, serialize=False)),
                ('meter', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='readings', to='metering.meter', verbose_name='計量器')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('energy_kwh', models.DecimalField(decimal_places=3, max_digits=14, null=True, verbose_name='電力量 (kWh)')),
                ('quality', models.SmallIntegerField(choices=[(0, '正常'), (1, '推定'), (2, '欠測'), (3, '異常')], verbose_name='品質')),
                ('revision', models.SmallIntegerField(verbose_name='版')),
                ('stage', models.SmallIntegerField(choices=[(1, '速報'), (2, '確報'), (3, '確定')], verbose_name='段階')),
                ('available_at', models.DateTimeField(verbose_name='入手日時')),
                ('source', models.CharField(max_length=40, verbose_name='入手元')),
            ],
            options={
                'verbose_name': '計量値',
                'verbose_name_plural': '計量値',
                'db_table': 'metering_intervalreading',
                'managed': False,
            },
        ),
        migrations.CreateModel(
            name='DeclaredSchedule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='schedules', to='registry.resource', verbose_name='リソース')),
                ('delivery_on', models.DateField(verbose_name='受渡日')),
                ('schedule_kwh', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=3, max_digits=14, verbose_name='kWh'), size=48, verbose_name='計画値 (kWh)')),
                ('available_at', models.DateTimeField(verbose_name='提出日時')),
            ],
            options={
                'verbose_name': '計画値',
                'verbose_name_plural': '計画値',
                'constraints': [models.UniqueConstraint(fields=('resource', 'delivery_on'), name='schedule_once'), models.CheckConstraint(condition=models.Q(('schedule_kwh__len', 48)), name='schedule_half_hours')],
            },
        ),
        migrations.CreateModel(
            name='DeliveryVerification',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='verifications', to='trading.auction', verbose_name='オークション')),
                ('revision', models.PositiveIntegerField(verbose_name='版')),
                ('stage', models.CharField(choices=[('PRELIMINARY', '速報'), ('FINAL', '確定')], max_length=12, verbose_name='段階')),
                ('as_of', models.DateTimeField(verbose_name='計量値の時点')),
                ('ruleset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='registry.ruleset', verbose_name='ルールセット')),
                ('input_sha256', models.CharField(max_length=64, verbose_name='入力のハッシュ')),
            ],
            options={
                'verbose_name': '供出量の確認',
                'verbose_name_plural': '供出量の確認',
                'constraints': [models.UniqueConstraint(fields=('auction', 'revision'), name='verification_revision'), models.CheckConstraint(condition=models.Q(('stage__in', ['PRELIMINARY', 'FINAL'])), name='verification_stage')],
            },
        ),
        migrations.CreateModel(
            name='Baseline',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('verification', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baselines', to='metering.deliveryverification', verbose_name='確認')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baselines', to='registry.resource', verbose_name='リソース')),
                ('delivery_on', models.DateField(verbose_name='受渡日')),
                ('revision', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('method', models.CharField(choices=[('HIGH_4_OF_5', 'High 4 of 5（当日調整あり）'), ('DECLARED', '計画値'), ('METER_ONLY', '個別計量（ベースラインなし）')], max_length=12, verbose_name='方式')),
                ('baseline_kwh', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=3, max_digits=14, verbose_name='kWh'), blank=True, null=True, size=48, verbose_name='ベースライン (kWh)')),
                ('adjustment_kwh', models.DecimalField(decimal_places=3, default=0, max_digits=14, verbose_name='当日調整 (kWh)')),
                ('days_used', django.contrib.postgres.fields.ArrayField(base_field=models.DateField(), blank=True, default=list, size=None, verbose_name='採用日')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='算定できない理由')),
                ('computed_at', models.DateTimeField(verbose_name='算定日時')),
                ('is_locked', models.BooleanField(default=False, verbose_name='確定')),
            ],
            options={
                'verbose_name': 'ベースライン',
                'verbose_name_plural': 'ベースライン',
                'indexes': [models.Index(fields=['delivery_on', 'resource', 'revision'], name='baseline_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('resource', 'delivery_on', 'revision'), name='baseline_revision'), models.UniqueConstraint(condition=models.Q(('is_locked', True)), fields=('resource', 'delivery_on'), name='baseline_locked_once'), models.CheckConstraint(condition=models.Q(('baseline_kwh__len', 48), models.Q(('baseline_kwh__isnull', True), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='baseline_half_hours'), models.CheckConstraint(condition=models.Q(('method__in', ['HIGH_4_OF_5', 'DECLARED', 'METER_ONLY'])), name='baseline_method'), models.CheckConstraint(condition=models.Q(('adjustment_kwh__gte', -1000000000), ('adjustment_kwh__lte', 1000000000)), name='baseline_adjustment_kwh')],
            },
        ),
        migrations.CreateModel(
            name='Delivery',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('verification', models.ForeignKey(db_constraint=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='metering.deliveryverification', verbose_name='確認')),
                ('award', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='deliveries', to='clearing.award', verbose_name='約定')),
                ('t', models.SmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('ordered_kwh', models.DecimalField(decimal_places=3, max_digits=14, verbose_name='約定量 (kWh)')),
                ('baseline_kwh', models.DecimalField(decimal_places=3, max_digits=14, null=True, verbose_name='ベースライン (kWh)')),
                ('metered_kwh', models.DecimalField(decimal_places=3, max_digits=14, null=True, verbose_name='計量値 (kWh)')),
                ('delivered_kwh', models.DecimalField(decimal_places=3, max_digits=14, verbose_name='供出量 (kWh)')),
                ('shortfall_kwh', models.DecimalField(decimal_places=3, max_digits=14, verbose_name='未達 (kWh)')),
                ('over_kwh', models.DecimalField(decimal_places=3, max_digits=14, verbose_name='超過 (kWh)')),
                ('reading_revision', models.SmallIntegerField(null=True, verbose_name='計量値の版')),
                ('reading_stage', models.SmallIntegerField(choices=[(1, '速報'), (2, '確報'), (3, '確定')], null=True, verbose_name='計量値の段階')),
            ],
            options={
                'verbose_name': '供出量',
                'verbose_name_plural': '供出量',
                'constraints': [models.UniqueConstraint(fields=('verification', 'award', 't'), name='delivery_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='delivery_t'), models.CheckConstraint(condition=models.Q(('ordered_kwh__gte', 0), ('ordered_kwh__lte', 1000000000)), name='delivery_ordered_kwh'), models.CheckConstraint(condition=models.Q(('delivered_kwh__gte', 0), ('delivered_kwh__lte', 1000000000)), name='delivery_delivered_kwh'), models.CheckConstraint(condition=models.Q(('shortfall_kwh__gte', 0), ('shortfall_kwh__lte', 1000000000)), name='delivery_shortfall_kwh'), models.CheckConstraint(condition=models.Q(('over_kwh__gte', 0), ('over_kwh__lte', 1000000000)), name='delivery_over_kwh'), models.CheckConstraint(condition=models.Q(('baseline_kwh__gte', -1000000000), ('baseline_kwh__lte', 1000000000)), name='delivery_baseline_kwh'), models.CheckConstraint(condition=models.Q(('metered_kwh__gte', -1000000000), ('metered_kwh__lte', 1000000000)), name='delivery_metered_kwh'), models.CheckConstraint(condition=models.Q(('ordered_kwh', django.db.models.expressions.CombinedExpression(models.F('delivered_kwh'), '+', models.F('shortfall_kwh')))), name='delivery_adds_up')],
            },
        ),
    ]
