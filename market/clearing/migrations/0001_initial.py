import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('parties', '0001_initial'),
        ('registry', '0001_initial'),
        ('trading', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SnapshotRecord',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='snapshots', to='trading.auction', verbose_name='オークション')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('content', models.BinaryField(verbose_name='内容（正規形）')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
            ],
            options={
                'verbose_name': '断面',
                'verbose_name_plural': '断面',
            },
        ),
        migrations.CreateModel(
            name='ClearingRun',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='trading.auction', verbose_name='オークション')),
                ('snapshot', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='runs', to='clearing.snapshotrecord', verbose_name='断面')),
                ('number', models.PositiveIntegerField(default=1, verbose_name='回')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='やり直しの理由')),
                ('bids_left_out', django.contrib.postgres.fields.ArrayField(base_field=models.UUIDField(), blank=True, default=list, size=None, verbose_name='除いた入札')),
                ('state', models.CharField(choices=[('READY', '待機'), ('RUNNING', '計算中'), ('VERIFIED', '検証済'), ('PUBLISHED', '公表'), ('FAILED', '失敗')], default='READY', max_length=10, verbose_name='状態')),
                ('token', models.BigIntegerField(default=0, verbose_name='世代')),
                ('engine_version', models.CharField(blank=True, max_length=80, verbose_name='エンジン')),
                ('result', models.BinaryField(blank=True, null=True, verbose_name='結果（正規形）')),
                ('result_sha256', models.CharField(blank=True, max_length=64, verbose_name='結果のハッシュ')),
                ('objective_jpy', models.DecimalField(blank=True, decimal_places=2, max_digits=18, null=True, verbose_name='社会的余剰 (円)')),
                ('certificate', models.JSONField(blank=True, default=dict, verbose_name='証明書')),
                ('error_code', models.CharField(blank=True, max_length=60, verbose_name='失敗の名前')),
                ('error', models.TextField(blank=True, verbose_name='失敗の内容')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
                ('published_at', models.DateTimeField(blank=True, null=True, verbose_name='公表日時')),
            ],
            options={
                'verbose_name': '約定計算',
                'verbose_name_plural': '約定計算',
                'constraints': [models.UniqueConstraint(fields=('auction', 'number'), name='run_number'), models.UniqueConstraint(condition=models.Q(('state', 'PUBLISHED')), fields=('auction',), name='run_published_once'), models.CheckConstraint(condition=models.Q(('state__in', ['READY', 'RUNNING', 'VERIFIED', 'PUBLISHED', 'FAILED'])), name='run_state')],
            },
        ),
        migrations.CreateModel(
            name='BidOutcome',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='outcomes', to='clearing.clearingrun', verbose_name='約定計算')),
                ('bid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='outcomes', to='trading.bid', verbose_name='入札')),
                ('outcome', models.CharField(choices=[('ACCEPTED', '全量約定'), ('PARTLY', '一部約定'), ('REJECTED', '不約定')], max_length=8, verbose_name='結果')),
                ('explanation', models.JSONField(help_text='docs/snapshot.md の explanations', verbose_name='説明')),
                ('make_whole_jpy', models.DecimalField(decimal_places=2, default=0, max_digits=18, verbose_name='補填 (円)')),
                ('surplus_forgone_jpy', models.DecimalField(blank=True, decimal_places=2, help_text='価格では採算が合うが、分割できないため約定しなかった入札', max_digits=18, null=True, verbose_name='逸失余剰 (円)')),
            ],
            options={
                'verbose_name': '入札の結果',
                'verbose_name_plural': '入札の結果',
                'constraints': [models.UniqueConstraint(fields=('run', 'bid'), name='outcome_once'), models.CheckConstraint(condition=models.Q(('outcome__in', ['ACCEPTED', 'PARTLY', 'REJECTED'])), name='outcome_known'), models.CheckConstraint(condition=models.Q(('make_whole_jpy__gte', 0), ('make_whole_jpy__lte', 1000000000000)), name='outcome_make_whole_jpy'), models.CheckConstraint(condition=models.Q(('surplus_forgone_jpy__gte', 0), ('surplus_forgone_jpy__lte', 1000000000000)), name='outcome_surplus_forgone_jpy')],
            },
        ),
        migrations.CreateModel(
            name='RentShare',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rents', to='clearing.clearingrun', verbose_name='約定計算')),
                ('kind', models.CharField(choices=[('ELEMENT', '混雑箇所'), ('LINK', '連系設備'), ('TRANSFER', 'エリア間'), ('PATH', '光パス'), ('TRUNK', '光幹線')], max_length=8, verbose_name='種別')),
                ('code', models.CharField(max_length=200, verbose_name='コード')),
                ('organisation', models.ForeignKey(blank=True, help_text='空欄は市場参加者でない所有者', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='所有者')),
                ('amount_jpy', models.DecimalField(decimal_places=2, max_digits=18, verbose_name='金額 (円)')),
            ],
            options={
                'verbose_name': 'レント',
                'verbose_name_plural': 'レント',
                'constraints': [models.UniqueConstraint(fields=('run', 'kind', 'code', 'organisation'), name='rent_once', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('kind__in', ['ELEMENT', 'LINK', 'TRANSFER', 'PATH', 'TRUNK'])), name='rent_kind'), models.CheckConstraint(condition=models.Q(('amount_jpy__gte', -1000000000000), ('amount_jpy__lte', 1000000000000)), name='rent_amount_jpy')],
            },
        ),
        migrations.CreateModel(
            name='PivotalFinding',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pivotal_findings', to='clearing.clearingrun', verbose_name='約定計算')),
                ('need', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='pivotal_findings', to='trading.need', verbose_name='必要量')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
                ('half_hours', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), size=None, verbose_name='番号（0…47）')),
            ],
            options={
                'verbose_name': '不可欠な供給者',
                'verbose_name_plural': '不可欠な供給者',
                'constraints': [models.UniqueConstraint(fields=('run', 'need', 'organisation'), name='pivotal_once')],
            },
        ),
        migrations.CreateModel(
            name='ComputeUse',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='compute_uses', to='clearing.clearingrun', verbose_name='約定計算')),
                ('bid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='compute_uses', to='trading.bid', verbose_name='計算の提供')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('used_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='IT電力 (kW)')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='単価 (円/kWh-IT)')),
            ],
            options={
                'verbose_name': '計算の利用',
                'verbose_name_plural': '計算の利用',
                'constraints': [models.UniqueConstraint(fields=('run', 'bid', 't'), name='computeuse_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='computeuse_t'), models.CheckConstraint(condition=models.Q(('used_kw__gte', 0), ('used_kw__lte', 100000000)), name='computeuse_used_kw'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kwh__gte', -99999), ('price_jpy_per_kwh__lte', 99999)), name='computeuse_price_jpy_per_kwh')],
            },
        ),
        migrations.CreateModel(
            name='ComputePlacement',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='compute_placements', to='clearing.clearingrun', verbose_name='約定計算')),
                ('bid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='placements', to='trading.bid', verbose_name='計算の依頼')),
                ('offer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='placed_requests', to='trading.bid', verbose_name='計算の提供')),
                ('path', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.opticalpath', verbose_name='光パス')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('quantity_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='IT電力 (kW)')),
            ],
            options={
                'verbose_name': '計算の配置',
                'verbose_name_plural': '計算の配置',
                'indexes': [models.Index(fields=['run', 'id'], name='placement_run')],
                'constraints': [models.UniqueConstraint(fields=('run', 'bid', 'offer', 'path', 't'), name='placement_once', nulls_distinct=False), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='placement_t'), models.CheckConstraint(condition=models.Q(('quantity_kw__gte', 0), ('quantity_kw__lte', 100000000)), name='placement_quantity_kw')],
            },
        ),
        migrations.CreateModel(
            name='EnvelopeUse',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='envelope_uses', to='clearing.clearingrun', verbose_name='約定計算')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='envelope_uses', to='registry.site', verbose_name='拠点')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('over_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='超過 (kW)')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='単価 (円/kWh)')),
            ],
            options={
                'verbose_name': '受電枠の超過',
                'verbose_name_plural': '受電枠の超過',
                'constraints': [models.UniqueConstraint(fields=('run', 'site', 't'), name='envelopeuse_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='envelopeuse_t'), models.CheckConstraint(condition=models.Q(('over_kw__gte', 0), ('over_kw__lte', 100000000)), name='envelopeuse_over_kw'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kwh__gte', 0), ('price_jpy_per_kwh__lte', 99999)), name='envelopeuse_price_jpy_per_kwh')],
            },
        ),
        migrations.CreateModel(
            name='Award',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='awards', to='clearing.clearingrun', verbose_name='約定計算')),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='awards', to='trading.auction', verbose_name='オークション')),
                ('bid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='awards', to='trading.bid', verbose_name='入札')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='awards', to='parties.organisation', verbose_name='組織')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='awards', to='registry.resource', verbose_name='リソース')),
                ('leg', models.CharField(choices=[('STEPS', '段階'), ('CHARGE', '充電'), ('DISCHARGE', '放電'), ('SHIFT_OUT', '移動元'), ('SHIFT_IN', '移動先'), ('BLOCK', 'ブロック'), ('DEFERRED', '繰延べ'), ('REBOUND', '取戻し'), ('CURTAILED', '出力抑制'), ('RELEASED', '抑制解除'), ('PORTFOLIO', 'ポートフォリオ'), ('RESERVED', '調整力確保'), ('COMPUTE', '計算')], max_length=10, verbose_name='区分')),
                ('direction', models.CharField(choices=[('UP', '上げ'), ('DOWN', '下げ')], max_length=4, verbose_name='方向')),
                ('product', models.ForeignKey(blank=True, help_text='調整力のみ', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.marketproduct', verbose_name='商品')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
            ],
            options={
                'verbose_name': '約定',
                'verbose_name_plural': '約定',
                'indexes': [models.Index(fields=['organisation', 'id'], name='award_own'), models.Index(fields=['organisation', 'auction', 'id'], name='award_own_auction'), models.Index(fields=['auction', 'id'], name='award_auction')],
                'constraints': [models.UniqueConstraint(fields=('run', 'bid', 'resource', 'leg', 'direction'), name='award_once'), models.CheckConstraint(condition=models.Q(('leg__in', ['STEPS', 'CHARGE', 'DISCHARGE', 'SHIFT_OUT', 'SHIFT_IN', 'BLOCK', 'DEFERRED', 'REBOUND', 'CURTAILED', 'RELEASED', 'PORTFOLIO', 'RESERVED', 'COMPUTE'])), name='award_leg'), models.CheckConstraint(condition=models.Q(models.Q(('leg', 'RESERVED'), ('product__isnull', False)), models.Q(models.Q(('leg', 'RESERVED'), _negated=True), ('product__isnull', True)), _connector='OR'), name='award_product')],
            },
        ),
        migrations.CreateModel(
            name='AwardInterval',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('award', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='intervals', to='clearing.award', verbose_name='約定')),
                ('t', models.PositiveSmallIntegerField(help_text='0…47（コマ−1）', verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('quantity_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='約定量 (kW)')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='約定単価 (円/kWh)')),
            ],
            options={
                'verbose_name': '約定（30分）',
                'verbose_name_plural': '約定（30分）',
                'indexes': [models.Index(fields=['start_at'], name='awardinterval_start')],
                'constraints': [models.UniqueConstraint(fields=('award', 't'), name='awardinterval_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='awardinterval_t'), models.CheckConstraint(condition=models.Q(('quantity_kw__gte', 0), ('quantity_kw__lte', 100000000)), name='awardinterval_quantity_kw'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kwh__gte', -99999), ('price_jpy_per_kwh__lte', 99999)), name='awardinterval_price_jpy_per_kwh')],
            },
        ),
        migrations.CreateModel(
            name='CapacityInterval',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('award', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='capacity_intervals', to='clearing.award', verbose_name='約定')),
                ('t', models.PositiveSmallIntegerField(help_text='0…47（コマ−1）', verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('quantity_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='確保量 (kW)')),
                ('price_jpy_per_kw_30min', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='約定単価 (円/kW・30分)')),
            ],
            options={
                'verbose_name': '調整力の約定（30分）',
                'verbose_name_plural': '調整力の約定（30分）',
                'constraints': [models.UniqueConstraint(fields=('award', 't'), name='capacityinterval_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='capacityinterval_t'), models.CheckConstraint(condition=models.Q(('quantity_kw__gte', 0), ('quantity_kw__lte', 100000000)), name='capacityinterval_quantity_kw'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kw_30min__gte', 0), ('price_jpy_per_kw_30min__lte', 99999)), name='capacityinterval_price_jpy_per_kw_30min')],
            },
        ),
        migrations.CreateModel(
            name='ClearingPrice',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='prices', to='clearing.clearingrun', verbose_name='約定計算')),
                ('kind', models.CharField(choices=[('NEED', '必要量'), ('AREA', 'エリア'), ('PLACE', '地点')], max_length=6, verbose_name='種別')),
                ('need', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='prices', to='trading.need', verbose_name='必要量')),
                ('area', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.area', verbose_name='エリア')),
                ('site', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.site', verbose_name='拠点')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='単価 (円/kWh)')),
                ('served_kw', models.DecimalField(blank=True, decimal_places=1, max_digits=12, null=True, verbose_name='充足 (kW)')),
                ('unserved_kw', models.DecimalField(blank=True, decimal_places=1, max_digits=12, null=True, verbose_name='未充足 (kW)')),
            ],
            options={
                'verbose_name': '約定価格',
                'verbose_name_plural': '約定価格',
                'constraints': [models.UniqueConstraint(fields=('run', 'kind', 'need', 'area', 'site', 't'), name='price_once', nulls_distinct=False), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'NEED'), ('need__isnull', False)), models.Q(('area__isnull', False), ('kind', 'AREA')), models.Q(('kind', 'PLACE'), ('site__isnull', False)), _connector='OR'), name='price_of'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='price_t'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kwh__gte', -99999), ('price_jpy_per_kwh__lte', 99999)), name='price_price_jpy_per_kwh'), models.CheckConstraint(condition=models.Q(('served_kw__gte', 0), ('served_kw__lte', 100000000)), name='price_served_kw'), models.CheckConstraint(condition=models.Q(('unserved_kw__gte', 0), ('unserved_kw__lte', 100000000)), name='price_unserved_kw')],
            },
        ),
        migrations.CreateModel(
            name='CapacityPrice',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='capacity_prices', to='clearing.clearingrun', verbose_name='約定計算')),
                ('need', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='capacity_prices', to='trading.need', verbose_name='必要量')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('price_jpy_per_kw_30min', models.DecimalField(decimal_places=2, max_digits=10, verbose_name='単価 (円/kW・30分)')),
                ('served_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='充足 (kW)')),
                ('unserved_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='未充足 (kW)')),
            ],
            options={
                'verbose_name': '調整力の約定価格',
                'verbose_name_plural': '調整力の約定価格',
                'constraints': [models.UniqueConstraint(fields=('run', 'need', 't'), name='capacityprice_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='capacityprice_t'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kw_30min__gte', 0), ('price_jpy_per_kw_30min__lte', 99999)), name='capacityprice_price_jpy_per_kw_30min'), models.CheckConstraint(condition=models.Q(('served_kw__gte', 0), ('served_kw__lte', 100000000)), name='capacityprice_served_kw'), models.CheckConstraint(condition=models.Q(('unserved_kw__gte', 0), ('unserved_kw__lte', 100000000)), name='capacityprice_unserved_kw')],
            },
        ),
        migrations.CreateModel(
            name='ElementFlow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='flows', to='clearing.clearingrun', verbose_name='約定計算')),
                ('congestion_point', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='registry.congestionpoint', verbose_name='混雑箇所')),
                ('t', models.PositiveSmallIntegerField(verbose_name='番号')),
                ('before_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='対策前 (kW)')),
                ('after_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='約定後 (kW)')),
            ],
            options={
                'verbose_name': '潮流（前後）',
                'verbose_name_plural': '潮流（前後）',
                'constraints': [models.UniqueConstraint(fields=('run', 'congestion_point', 't'), name='flow_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='flow_t'), models.CheckConstraint(condition=models.Q(('before_kw__gte', -100000000), ('before_kw__lte', 100000000)), name='flow_before_kw'), models.CheckConstraint(condition=models.Q(('after_kw__gte', -100000000), ('after_kw__lte', 100000000)), name='flow_after_kw')],
            },
        ),
    ]
