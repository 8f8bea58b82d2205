import accounts.fields.keys
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
    ]

    operations = [
        migrations.CreateModel(
            name='BookKey',
            fields=[
                ('id', models.CharField(max_length=16, primary_key=True, serialize=False, verbose_name='鍵番号')),
                ('public_key', models.BinaryField(max_length=32, verbose_name='公開鍵')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
                ('retired_at', models.DateTimeField(blank=True, null=True, verbose_name='更新日時')),
            ],
            options={
                'verbose_name': '板の鍵',
                'verbose_name_plural': '板の鍵',
                'ordering': ['created_at'],
                'constraints': [models.UniqueConstraint(models.Value(1), condition=models.Q(('retired_at__isnull', True)), name='bookkey_one_current')],
            },
        ),
        migrations.CreateModel(
            name='ReceiptKey',
            fields=[
                ('id', models.CharField(max_length=16, primary_key=True, serialize=False, verbose_name='鍵番号')),
                ('public_key', models.BinaryField(max_length=32, verbose_name='公開鍵')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
            ],
            options={
                'verbose_name': '受付票の鍵',
                'verbose_name_plural': '受付票の鍵',
                'ordering': ['created_at'],
            },
        ),
        migrations.CreateModel(
            name='OwnerKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='owner_keys', to='parties.organisation', verbose_name='組織')),
                ('public_key', models.BinaryField(max_length=32, verbose_name='公開鍵')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
                ('retired_at', models.DateTimeField(blank=True, null=True, verbose_name='更新日時')),
            ],
            options={
                'verbose_name': '入札者の鍵',
                'verbose_name_plural': '入札者の鍵',
                'ordering': ['created_at'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('retired_at__isnull', True)), fields=('organisation',), name='ownerkey_one_current')],
            },
        ),
        migrations.CreateModel(
            name='StandingBid',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='standing_bids', to='parties.organisation', verbose_name='組織')),
                ('code', models.CharField(help_text='入札者が付ける番号。入札番号は「番号@オークション」', max_length=20, verbose_name='番号')),
                ('valid_from_on', models.DateField(verbose_name='開始日（受渡日）')),
                ('valid_to_on', models.DateField(blank=True, null=True, verbose_name='終了日（受渡日）')),
                ('weekdays', django.contrib.postgres.fields.ArrayField(base_field=models.PositiveSmallIntegerField(), size=7, verbose_name='曜日（0＝月曜）')),
                ('state', models.CharField(choices=[('ACTIVE', '有効'), ('PAUSED', '休止'), ('WITHDRAWN', '取下げ')], default='ACTIVE', max_length=10, verbose_name='状態')),
                ('content_mac', models.BinaryField(max_length=32, verbose_name='内容の認証符号')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
            ],
            options={
                'verbose_name': '常設入札',
                'verbose_name_plural': '常設入札',
                'indexes': [models.Index(fields=['organisation', 'created_at', 'id'], name='standingbid_own')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('state__in', ['ACTIVE', 'PAUSED'])), fields=('organisation', 'code'), name='standingbid_one_alive'), models.CheckConstraint(condition=models.Q(('state__in', ['ACTIVE', 'PAUSED', 'WITHDRAWN'])), name='standingbid_state'), models.CheckConstraint(condition=models.Q(('valid_to_on__isnull', True), ('valid_to_on__gt', models.F('valid_from_on')), _connector='OR'), name='standingbid_dates'), models.CheckConstraint(condition=models.Q(('weekdays__contained_by', [0, 1, 2, 3, 4, 5, 6]), ('weekdays__len__gte', 1)), name='standingbid_weekdays')],
            },
        ),
        migrations.CreateModel(
            name='StandingBidContent',
            fields=[
                ('standing_bid', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='content', serialize=False, to='trading.standingbid', verbose_name='常設入札')),
                ('book_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.bookkey', verbose_name='板の鍵')),
                ('sealed_key', models.BinaryField(verbose_name='板の鍵で封印した鍵')),
                ('owner_key', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.ownerkey', verbose_name='入札者の鍵')),
                ('owner_sealed_key', models.BinaryField(blank=True, null=True, verbose_name='入札者の鍵で封印した鍵')),
                ('ciphertext', models.BinaryField(verbose_name='封印された内容')),
            ],
            options={
                'verbose_name': '常設入札の内容',
                'verbose_name_plural': '常設入札の内容',
            },
        ),
        migrations.CreateModel(
            name='Auction',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('gate_number', models.BigIntegerField(editable=False, unique=True, verbose_name='ゲート番号')),
                ('code', models.SlugField(max_length=40, unique=True, verbose_name='コード')),
                ('name', models.CharField(max_length=80, verbose_name='名称')),
                ('delivery_on', models.DateField(verbose_name='受渡日')),
                ('delivery_start', models.DateTimeField(help_text='受渡日 00:00 JST', verbose_name='受渡開始')),
                ('opens_at', models.DateTimeField(verbose_name='募集開始')),
                ('gate_closure_at', models.DateTimeField(verbose_name='入札締切')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='締切処理')),
                ('state', models.CharField(choices=[('SCHEDULED', '予定'), ('OPEN', '入札受付中'), ('CLOSED', '締切'), ('CLEARING', '約定計算中'), ('PUBLISHED', '公表'), ('PUBLISHED_BY_FALLBACK', '公表（代替）'), ('CANCELLED', '取消'), ('SETTLED', '精算済')], default='SCHEDULED', max_length=24, verbose_name='状態')),
                ('state_reason', models.CharField(blank=True, max_length=200, verbose_name='理由')),
                ('ruleset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='registry.ruleset', verbose_name='ルールセット')),
                ('grid_model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='registry.gridmodel', verbose_name='系統モデル')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
            ],
            options={
                'verbose_name': 'オークション',
                'verbose_name_plural': 'オークション',
                'ordering': ['-delivery_on', 'code'],
                'indexes': [models.Index(fields=['delivery_on', 'code'], name='auction_day')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['SCHEDULED', 'OPEN', 'CLOSED', 'CLEARING', 'PUBLISHED', 'PUBLISHED_BY_FALLBACK', 'CANCELLED', 'SETTLED'])), name='auction_state'), models.CheckConstraint(condition=models.Q(('gate_closure_at__lte', models.F('delivery_start')), ('opens_at__lt', models.F('gate_closure_at'))), name='auction_times')],
            },
        ),
        migrations.CreateModel(
            name='Envelope',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('auction', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='envelopes', to='trading.auction', verbose_name='オークション')),
                ('site', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='envelopes', to='registry.site', verbose_name='拠点')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='一般送配電事業者')),
                ('kind', models.CharField(choices=[('FIXED', '固定パターン'), ('ONLINE', 'オンライン')], max_length=6, verbose_name='種別')),
                ('max_import_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), size=48, verbose_name='受電上限 (kW)')),
                ('scheduled_import_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), size=48, verbose_name='計画受電 (kW)')),
                ('revision', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('available_at', models.DateTimeField(verbose_name='公表日時')),
            ],
            options={
                'verbose_name': '受電枠',
                'verbose_name_plural': '受電枠',
                'indexes': [models.Index(fields=['auction', 'available_at', 'id'], name='envelope_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('auction', 'site', 'revision'), name='envelope_revision'), models.CheckConstraint(condition=models.Q(('kind__in', ['FIXED', 'ONLINE'])), name='envelope_kind')],
            },
        ),
        migrations.CreateModel(
            name='BaseFlow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('auction', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='base_flows', to='trading.auction', verbose_name='オークション')),
                ('congestion_point', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to='registry.congestionpoint', verbose_name='混雑箇所')),
                ('base_flow_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), size=48, verbose_name='予想潮流 (kW)')),
                ('revision', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('available_at', models.DateTimeField(verbose_name='公表日時')),
            ],
            options={
                'verbose_name': '予想潮流',
                'verbose_name_plural': '予想潮流',
                'indexes': [models.Index(fields=['auction', 'available_at', 'id'], name='baseflow_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('auction', 'congestion_point', 'revision'), name='baseflow_revision')],
            },
        ),
        migrations.CreateModel(
            name='TransferLimit',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('auction', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='transfer_limits', to='trading.auction', verbose_name='オークション')),
                ('from_area', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.area', verbose_name='送り側')),
                ('to_area', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.area', verbose_name='受け側')),
                ('link', models.ForeignKey(blank=True, help_text='空欄は交流連系（潮流は物理に従う）', null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.controllablelink', verbose_name='連系設備')),
                ('limit_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), size=48, verbose_name='上限 (kW)')),
                ('available_at', models.DateTimeField(verbose_name='公表日時')),
            ],
            options={
                'verbose_name': 'エリア間上限',
                'verbose_name_plural': 'エリア間上限',
                'indexes': [models.Index(fields=['auction', 'available_at', 'id'], name='transferlimit_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('auction', 'from_area', 'to_area'), name='transferlimit_once')],
            },
        ),
        migrations.CreateModel(
            name='Need',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='needs', to='trading.auction', verbose_name='オークション')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='needs', to='parties.organisation', verbose_name='一般送配電事業者')),
                ('kind', models.CharField(choices=[('LOCAL', 'ローカル'), ('BALANCE', '需給'), ('CAPACITY', '調整力（ΔkW）')], max_length=8, verbose_name='種別')),
                ('code', models.SlugField(max_length=60, verbose_name='コード')),
                ('congestion_point', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.congestionpoint', verbose_name='混雑箇所')),
                ('flow_sign', models.SmallIntegerField(blank=True, help_text='減らす潮流の符号（+1 / −1）', null=True, verbose_name='潮流の向き')),
                ('area', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.area', verbose_name='エリア')),
                ('product', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.marketproduct', verbose_name='商品')),
                ('direction', models.CharField(choices=[('UP', '上げ'), ('DOWN', '下げ')], max_length=4, verbose_name='方向')),
                ('pricing', models.CharField(choices=[('AUCTION', 'オークション'), ('POSTED', '公示価格')], default='AUCTION', max_length=8, verbose_name='価格の決め方')),
                ('quantity_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), help_text='全段の合計', size=48, verbose_name='必要量 (kW)')),
                ('cap_jpy_per_kwh', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=2, max_digits=8, verbose_name='円/kWh'), blank=True, help_text='第1段の価格。調整力では空欄', null=True, size=48, verbose_name='上限価格 (円/kWh)')),
                ('cap_jpy_per_kw_30min', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=2, max_digits=8, verbose_name='円/kW・30分'), blank=True, null=True, size=48, verbose_name='上限価格 (円/kW・30分)')),
                ('revision', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='trading.need', verbose_name='前の版')),
                ('state', models.CharField(choices=[('PROPOSED', '承認待ち'), ('REFUSED', '不成立'), ('PUBLISHED', '公表'), ('SUPERSEDED', '改訂済'), ('WITHDRAWN', '撤回')], default='PUBLISHED', max_length=10, verbose_name='状態')),
                ('available_at', models.DateTimeField(verbose_name='公表日時')),
            ],
            options={
                'verbose_name': '必要量',
                'verbose_name_plural': '必要量',
                'indexes': [models.Index(fields=['available_at', 'id'], name='need_latest'), models.Index(fields=['auction', 'available_at', 'id'], name='need_auction')],
                'constraints': [models.UniqueConstraint(fields=('auction', 'organisation', 'code', 'revision'), name='need_revision'), models.UniqueConstraint(condition=models.Q(('state', 'PUBLISHED')), fields=('auction', 'organisation', 'code'), name='need_one_current'), models.UniqueConstraint(condition=models.Q(('state', 'PROPOSED')), fields=('auction', 'organisation', 'code'), name='need_one_proposal'), models.CheckConstraint(condition=models.Q(('state__in', ['PROPOSED', 'REFUSED', 'PUBLISHED', 'SUPERSEDED', 'WITHDRAWN'])), name='need_state'), models.CheckConstraint(condition=models.Q(models.Q(('area__isnull', True), ('congestion_point__isnull', False), ('flow_sign__in', [-1, 1]), ('kind', 'LOCAL'), ('product__isnull', True)), models.Q(('area__isnull', False), ('congestion_point__isnull', True), ('flow_sign__isnull', True), ('kind', 'BALANCE'), ('product__isnull', True)), models.Q(('area__isnull', False), ('congestion_point__isnull', True), ('flow_sign__isnull', True), ('kind', 'CAPACITY'), ('product__isnull', False)), _connector='OR'), name='need_place'), models.CheckConstraint(condition=models.Q(models.Q(('cap_jpy_per_kw_30min__isnull', False), ('cap_jpy_per_kwh__isnull', True), ('kind', 'CAPACITY')), models.Q(models.Q(('kind', 'CAPACITY'), _negated=True), ('cap_jpy_per_kw_30min__isnull', True), ('cap_jpy_per_kwh__isnull', False)), _connector='OR'), name='need_cap'), models.CheckConstraint(condition=models.Q(('pricing__in', ['AUCTION', 'POSTED'])), name='need_pricing')],
            },
        ),
        migrations.CreateModel(
            name='NeedStep',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('need', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='steps', to='trading.need', verbose_name='必要量')),
                ('number', models.PositiveSmallIntegerField(verbose_name='段')),
                ('quantity_kw', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=1, max_digits=12, verbose_name='kW'), size=48, verbose_name='必要量 (kW)')),
                ('cap_jpy_per_kwh', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=2, max_digits=8, verbose_name='円/kWh'), blank=True, null=True, size=48, verbose_name='上限価格 (円/kWh)')),
                ('cap_jpy_per_kw_30min', django.contrib.postgres.fields.ArrayField(base_field=models.DecimalField(decimal_places=2, max_digits=8, verbose_name='円/kW・30分'), blank=True, null=True, size=48, verbose_name='上限価格 (円/kW・30分)')),
            ],
            options={
                'verbose_name': '需要曲線の段',
                'verbose_name_plural': '需要曲線の段',
                'ordering': ['need', 'number'],
                'constraints': [models.UniqueConstraint(fields=('need', 'number'), name='needstep_once'), models.CheckConstraint(condition=models.Q(('number__gte', 1), ('number__lte', 20)), name='needstep_number'), models.CheckConstraint(condition=models.Q(models.Q(('cap_jpy_per_kw_30min__isnull', False), ('cap_jpy_per_kwh__isnull', True)), models.Q(('cap_jpy_per_kw_30min__isnull', True), ('cap_jpy_per_kwh__isnull', False)), _connector='OR'), name='needstep_cap')],
            },
        ),
        migrations.CreateModel(
            name='SealedBasket',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baskets', to='trading.auction', verbose_name='オークション')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baskets', to='parties.organisation', verbose_name='組織')),
                ('book_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.bookkey', verbose_name='板の鍵')),
                ('sealed_key', models.BinaryField(verbose_name='板の鍵で封印した鍵')),
                ('owner_key', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.ownerkey', verbose_name='入札者の鍵')),
                ('owner_sealed_key', models.BinaryField(blank=True, null=True, verbose_name='入札者の鍵で封印した鍵')),
                ('ciphertext', models.BinaryField(verbose_name='封印された内容')),
                ('leaf_count', models.PositiveIntegerField(verbose_name='件数')),
                ('merkle_root', models.CharField(max_length=64, verbose_name='マークル根')),
                ('received_at', models.DateTimeField(verbose_name='受付日時')),
                ('receipt_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.receiptkey', verbose_name='受付票の鍵')),
                ('receipt_signature', models.BinaryField(verbose_name='受付票の署名')),
            ],
            options={
                'verbose_name': '封印された入札',
                'verbose_name_plural': '封印された入札',
                'constraints': [models.CheckConstraint(condition=models.Q(('leaf_count__gte', 1), ('leaf_count__lte', 5000)), name='sealedbasket_leaf_count'), models.CheckConstraint(condition=models.Q(models.Q(('owner_key__isnull', True), ('owner_sealed_key__isnull', True)), models.Q(('owner_key__isnull', False), ('owner_sealed_key__isnull', False)), _connector='OR'), name='sealedbasket_owner')],
            },
        ),
        migrations.CreateModel(
            name='BookRoot',
            fields=[
                ('auction', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='book_root', serialize=False, to='trading.auction', verbose_name='オークション')),
                ('merkle_root', models.CharField(max_length=64, verbose_name='マークル根')),
                ('leaf_count', models.PositiveIntegerField(verbose_name='件数')),
                ('made_at', models.DateTimeField(verbose_name='作成日時')),
            ],
            options={
                'verbose_name': '板のマークル根',
                'verbose_name_plural': '板のマークル根',
            },
        ),
        migrations.CreateModel(
            name='BookOpening',
            fields=[
                ('auction', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, primary_key=True, related_name='book_opening', serialize=False, to='trading.auction', verbose_name='オークション')),
                ('opened_at', models.DateTimeField(verbose_name='開封日時')),
                ('opened_count', models.PositiveIntegerField(verbose_name='開封数')),
                ('quarantined_count', models.PositiveIntegerField(verbose_name='隔離数')),
            ],
            options={
                'verbose_name': '板の開封',
                'verbose_name_plural': '板の開封',
            },
        ),
        migrations.CreateModel(
            name='Bid',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('client_bid_id', models.CharField(help_text='入札者が付ける番号。再送は同じ番号で行う', max_length=64, verbose_name='入札番号')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('auction', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='bids', to='trading.auction', verbose_name='オークション')),
                ('organisation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='bids', to='parties.organisation', verbose_name='組織')),
                ('resource', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.resource', verbose_name='リソース')),
                ('portfolio', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.portfolio', verbose_name='ポートフォリオ')),
                ('site', models.ForeignKey(blank=True, help_text='計算を頼む地点', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.site', verbose_name='利用地点')),
                ('workload_class', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='registry.workloadclass', verbose_name='作業クラス')),
                ('form', models.CharField(choices=[('STEPS', '段階入札'), ('STORAGE', '蓄電池'), ('SHIFT', '空間シフト'), ('BLOCK', 'ブロック'), ('DEFERRAL', '時間シフト'), ('RENEWABLE', '再エネ'), ('PORTFOLIO', 'ポートフォリオ'), ('CAPACITY', '調整力（ΔkW）'), ('COMPUTE_OFFER', '計算の提供'), ('COMPUTE_REQUEST', '計算の依頼')], max_length=16, verbose_name='形式')),
                ('mechanism', models.CharField(choices=[('BATTERY', '蓄電池'), ('SPATIAL', '空間シフト'), ('DEFERRAL', '時間シフト'), ('POWER_CAP', '電力制限'), ('STOP', '停止'), ('RENEWABLE', '再エネ'), ('COMPUTE', '計算')], max_length=10, verbose_name='手段')),
                ('state', models.CharField(choices=[('SUBMITTED', '提出済'), ('SUPERSEDED', '差替済'), ('WITHDRAWN', '取下げ')], default='SUBMITTED', max_length=10, verbose_name='状態')),
                ('supersedes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='superseded_by', to='trading.bid', verbose_name='前の版')),
                ('received_at', models.DateTimeField(help_text='市場時計。ゲートの判定と同じ時刻', verbose_name='受付日時')),
                ('parent_client_bid_id', models.CharField(blank=True, max_length=64, verbose_name='親の入札番号')),
                ('exclusive_group', models.CharField(blank=True, max_length=40, verbose_name='排他グループ')),
                ('basket', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bids', to='trading.sealedbasket', verbose_name='封印')),
                ('leaf_index', models.PositiveIntegerField(blank=True, null=True, verbose_name='葉の番号')),
                ('leaf_sha256', models.CharField(help_text='塩を加えた内容のハッシュ。受付票に載る', max_length=64, verbose_name='葉のハッシュ')),
                ('content_mac', models.BinaryField(default=b'', max_length=32, verbose_name='内容の認証符号')),
            ],
            options={
                'verbose_name': '入札',
                'verbose_name_plural': '入札',
                'indexes': [models.Index(condition=models.Q(('state', 'SUBMITTED')), fields=['auction', 'resource'], name='bid_book'), models.Index(fields=['organisation', 'received_at', 'id'], name='bid_own'), models.Index(fields=['organisation', 'auction', 'received_at', 'id'], name='bid_own_auction'), models.Index(fields=['organisation', 'resource', 'received_at', 'id'], name='bid_own_resource'), models.Index(fields=['organisation', 'form', 'received_at', 'id'], name='bid_own_form'), models.Index(condition=models.Q(('state__in', ['SUPERSEDED', 'WITHDRAWN'])), fields=['organisation', 'received_at', 'id'], name='bid_own_over'), models.Index(fields=['auction', 'received_at', 'id'], name='bid_auction')],
                'constraints': [models.UniqueConstraint(fields=('organisation', 'client_bid_id', 'version'), name='bid_version'), models.UniqueConstraint(condition=models.Q(('state', 'SUBMITTED')), fields=('organisation', 'client_bid_id'), name='bid_one_current'), models.CheckConstraint(condition=models.Q(('form__in', ['STEPS', 'STORAGE', 'SHIFT', 'BLOCK', 'DEFERRAL', 'RENEWABLE', 'PORTFOLIO', 'CAPACITY', 'COMPUTE_OFFER', 'COMPUTE_REQUEST'])), name='bid_form'), models.CheckConstraint(condition=models.Q(models.Q(('form', 'PORTFOLIO'), ('portfolio__isnull', False), ('resource__isnull', True), ('site__isnull', True)), models.Q(('form', 'COMPUTE_REQUEST'), ('portfolio__isnull', True), ('resource__isnull', True), ('site__isnull', False)), models.Q(models.Q(('form__in', ['PORTFOLIO', 'COMPUTE_REQUEST']), _negated=True), ('portfolio__isnull', True), ('resource__isnull', False), ('site__isnull', True)), _connector='OR'), name='bid_subject'), models.CheckConstraint(condition=models.Q(('state__in', ['SUBMITTED', 'SUPERSEDED', 'WITHDRAWN'])), name='bid_state'), models.UniqueConstraint(fields=('basket', 'leaf_index'), name='bid_leaf'), models.CheckConstraint(condition=models.Q(models.Q(('basket__isnull', True), ('leaf_index__isnull', True)), models.Q(('basket__isnull', False), ('leaf_index__gte', 0), ('leaf_index__lt', 5000)), _connector='OR'), name='bid_sealed')],
            },
        ),
        migrations.CreateModel(
            name='StandingRenewal',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('standing_bid', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='renewals', to='trading.standingbid', verbose_name='常設入札')),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='standing_renewals', to='trading.auction', verbose_name='オークション')),
                ('bid', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.bid', verbose_name='入札')),
                ('refusal', models.CharField(blank=True, max_length=300, verbose_name='断られた理由')),
            ],
            options={
                'verbose_name': '常設入札の更新',
                'verbose_name_plural': '常設入札の更新',
                'constraints': [models.UniqueConstraint(fields=('standing_bid', 'auction'), name='standingrenewal_once'), models.CheckConstraint(condition=models.Q(models.Q(('bid__isnull', False), ('refusal', '')), models.Q(models.Q(('bid__isnull', True)), models.Q(('refusal', ''), _negated=True)), _connector='OR'), name='standingrenewal_outcome')],
            },
        ),
        migrations.CreateModel(
            name='BidContent',
            fields=[
                ('bid', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, primary_key=True, related_name='content', serialize=False, to='trading.bid', verbose_name='入札')),
                ('content', models.JSONField(verbose_name='内容')),
                ('salt', models.BinaryField(default=b'', max_length=16, verbose_name='塩')),
            ],
            options={
                'verbose_name': '入札内容',
                'verbose_name_plural': '入札内容',
            },
        ),
    ]
