import accounts.fields.keys
import django.contrib.postgres.indexes
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clearing', '0001_initial'),
        ('ledger', '0001_initial'),
        ('metering', '0001_initial'),
        ('parties', '0001_initial'),
        ('trading', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SettlementPeriod',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('start_on', models.DateField(unique=True, verbose_name='開始日')),
                ('end_on', models.DateField(verbose_name='終了日（含まない）')),
                ('state', models.CharField(choices=[('OPEN', '未締'), ('CLOSED', '締済')], default='OPEN', max_length=8, verbose_name='状態')),
                ('closed_at', models.DateTimeField(blank=True, null=True, verbose_name='締日時')),
            ],
            options={
                'verbose_name': '精算期間',
                'verbose_name_plural': '精算期間',
                'ordering': ['-start_on'],
                'constraints': [models.CheckConstraint(condition=models.Q(('start_on__lt', models.F('end_on'))), name='period_dates'), models.CheckConstraint(condition=models.Q(('state__in', ['OPEN', 'CLOSED'])), name='period_state')],
            },
        ),
        migrations.CreateModel(
            name='SettlementRun',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settlement_runs', to='trading.auction', verbose_name='オークション')),
                ('verification', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='metering.deliveryverification', verbose_name='供出量の確認')),
                ('kind', models.CharField(choices=[('PROVISIONAL', '速報'), ('FINAL', '確定')], max_length=12, verbose_name='種別')),
                ('revision', models.PositiveIntegerField(verbose_name='版')),
                ('input_sha256', models.CharField(max_length=64, verbose_name='入力のハッシュ')),
                ('ruleset_version', models.CharField(max_length=40, verbose_name='規則の版')),
                ('executed_at', models.DateTimeField(verbose_name='実行日時')),
            ],
            options={
                'verbose_name': '精算',
                'verbose_name_plural': '精算',
                'ordering': ['-id'],
                'constraints': [models.UniqueConstraint(fields=('auction', 'kind', 'revision'), name='settlementrun_revision'), models.CheckConstraint(condition=models.Q(('kind__in', ['PROVISIONAL', 'FINAL'])), name='settlementrun_kind')],
            },
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='parties.organisation', verbose_name='申立者')),
                ('counterparty', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='相手方')),
                ('reason_code', models.CharField(choices=[('READING', '計量値'), ('BASELINE', 'ベースライン'), ('DELIVERY', '供出量'), ('PRICE', '単価'), ('RULE', '規則の適用'), ('FORCE_MAJEURE', '不可抗力'), ('OTHER', 'その他')], max_length=16, verbose_name='理由コード')),
                ('reason', models.CharField(max_length=2000, verbose_name='理由')),
                ('disputed_exact_jpy', models.DecimalField(decimal_places=6, help_text='申立者から見た明細の合計（受取は正、支払は負）', max_digits=22, verbose_name='係争額（円、端数あり）')),
                ('state', models.CharField(choices=[('OPEN', '申立済'), ('UNDER_REVIEW', '審査中'), ('ACCEPTED', '認容'), ('REJECTED', '棄却'), ('WITHDRAWN', '取下げ')], default='OPEN', max_length=12, verbose_name='状態')),
                ('is_held', models.BooleanField(default=True, verbose_name='支払保留')),
                ('decision', models.CharField(blank=True, max_length=2000, verbose_name='決定')),
                ('opened_at', models.DateTimeField(verbose_name='申立日時')),
                ('ended_at', models.DateTimeField(blank=True, null=True, verbose_name='終結日時')),
                ('corrected_by', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrects', to='settlement.settlementrun', verbose_name='訂正した精算')),
            ],
            options={
                'verbose_name': '異議',
                'verbose_name_plural': '異議',
                'ordering': ['-opened_at', '-id'],
                'indexes': [models.Index(fields=['organisation', 'opened_at', 'id'], name='dispute_of'), models.Index(fields=['counterparty', 'opened_at', 'id'], name='dispute_against'), models.Index(fields=['opened_at', 'id'], name='dispute_in_turn')],
                'constraints': [models.CheckConstraint(condition=models.Q(('state__in', ['OPEN', 'UNDER_REVIEW', 'ACCEPTED', 'REJECTED', 'WITHDRAWN'])), name='dispute_state'), models.CheckConstraint(condition=models.Q(('reason_code__in', ['READING', 'BASELINE', 'DELIVERY', 'PRICE', 'RULE', 'FORCE_MAJEURE', 'OTHER'])), name='dispute_reason'), models.CheckConstraint(condition=models.Q(('organisation', models.F('counterparty')), _negated=True), name='dispute_two_sides'), models.CheckConstraint(condition=models.Q(models.Q(('ended_at__isnull', True), ('state__in', ['OPEN', 'UNDER_REVIEW'])), models.Q(('ended_at__isnull', False), ('state__in', ['ACCEPTED', 'REJECTED', 'WITHDRAWN'])), _connector='OR'), name='dispute_end'), models.CheckConstraint(condition=models.Q(models.Q(('is_held', True), ('state__in', ['OPEN', 'UNDER_REVIEW'])), models.Q(('is_held', False), ('state__in', ['REJECTED', 'WITHDRAWN'])), models.Q(('corrected_by__isnull', True), ('is_held', True), ('state', 'ACCEPTED')), models.Q(('corrected_by__isnull', False), ('is_held', False), ('state', 'ACCEPTED')), _connector='OR'), name='dispute_hold'), models.CheckConstraint(condition=models.Q(('corrected_by__isnull', True), ('state', 'ACCEPTED'), _connector='OR'), name='dispute_correction'), models.CheckConstraint(condition=models.Q(models.Q(('state__in', ['ACCEPTED', 'REJECTED']), _negated=True), models.Q(('decision', ''), _negated=True), _connector='OR'), name='dispute_decision'), models.CheckConstraint(condition=models.Q(('disputed_exact_jpy__gte', -1000000000000000), ('disputed_exact_jpy__lte', 1000000000000000)), name='dispute_disputed_exact_jpy')],
            },
        ),
        migrations.CreateModel(
            name='DisputeEvidence',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('dispute', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='evidence', to='settlement.dispute', verbose_name='異議')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='提出者')),
                ('name', models.CharField(max_length=120, verbose_name='名称')),
                ('content_type', models.CharField(max_length=40, verbose_name='形式')),
                ('size_bytes', models.PositiveIntegerField(verbose_name='大きさ (B)')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('content', models.BinaryField(verbose_name='内容')),
                ('added_at', models.DateTimeField(verbose_name='提出日時')),
            ],
            options={
                'verbose_name': '証拠',
                'verbose_name_plural': '証拠',
                'constraints': [models.UniqueConstraint(fields=('dispute', 'sha256'), name='disputeevidence_once'), models.CheckConstraint(condition=models.Q(('size_bytes__gte', 1), ('size_bytes__lte', 5000000)), name='disputeevidence_size_bytes')],
            },
        ),
        migrations.CreateModel(
            name='DisputeEntry',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('dispute', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='entries', to='settlement.dispute', verbose_name='異議')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='記入者')),
                ('actor', models.CharField(help_text='user:7 など', max_length=60, verbose_name='担当')),
                ('kind', models.CharField(choices=[('OPENED', '申立'), ('COMMENTED', '意見'), ('EVIDENCE_ADDED', '証拠提出'), ('REVIEW_STARTED', '審査開始'), ('ACCEPTED', '認容'), ('REJECTED', '棄却'), ('WITHDRAWN', '取下げ')], max_length=16, verbose_name='種別')),
                ('text', models.CharField(blank=True, max_length=2000, verbose_name='内容')),
                ('evidence', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='entry', to='settlement.disputeevidence', verbose_name='証拠')),
                ('at', models.DateTimeField(verbose_name='日時')),
            ],
            options={
                'verbose_name': '異議の経過',
                'verbose_name_plural': '異議の経過',
                'ordering': ['id'],
                'indexes': [models.Index(fields=['dispute', 'id'], name='disputeentry_in_turn')],
                'constraints': [models.CheckConstraint(condition=models.Q(('kind__in', ['OPENED', 'COMMENTED', 'EVIDENCE_ADDED', 'REVIEW_STARTED', 'ACCEPTED', 'REJECTED', 'WITHDRAWN'])), name='disputeentry_kind'), models.CheckConstraint(condition=models.Q(models.Q(('evidence__isnull', False), ('kind', 'EVIDENCE_ADDED')), models.Q(models.Q(('kind', 'EVIDENCE_ADDED'), _negated=True), ('evidence__isnull', True)), _connector='OR'), name='disputeentry_evidence')],
            },
        ),
        migrations.CreateModel(
            name='SettlementLine',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('run', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='settlement.settlementrun', verbose_name='精算')),
                ('item', models.CharField(choices=[('NEED_CHARGE', '調整力利用料'), ('SELLER_ENERGY', '電力量料金'), ('SHORTFALL_REFUND', '未達返還'), ('SHORTFALL_PENALTY', '未達ペナルティ'), ('SHORTFALL_CREDIT', '未達分の返金'), ('CONGESTION_RENT', '混雑収入'), ('LINK_RENT', '連系収入'), ('PATH_FEE', '光パス利用料'), ('PLATFORM_FEE', '市場利用手数料'), ('REVENUE_SPLIT', '収益分配'), ('DEVIATION', 'インバランス'), ('CAPACITY_CHARGE', '調整力（ΔkW）利用料'), ('CAPACITY', '調整力（ΔkW）料金'), ('COMPUTE_CHARGE', '計算利用料'), ('COMPUTE', '計算提供料'), ('ENVELOPE', '受電枠料金'), ('ENVELOPE_PENALTY', '受電枠超過金'), ('TRUNK_RENT', '光幹線収入'), ('PAYMENT_RULE', '支払規則による調整'), ('MARKET_FEE', '市場手数料（買い手）'), ('RESIDUAL', '公表値の端数')], max_length=20, verbose_name='項目')),
                ('payer', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.ledgeraccount', verbose_name='支払')),
                ('payee', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.ledgeraccount', verbose_name='受取')),
                ('award', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='clearing.award', verbose_name='約定')),
                ('need', models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.need', verbose_name='必要量')),
                ('element', models.CharField(max_length=64, null=True, verbose_name='設備')),
                ('t', models.SmallIntegerField(help_text='空欄は一日分', null=True, verbose_name='番号')),
                ('start_at', models.DateTimeField(null=True, verbose_name='開始')),
                ('quantity_kwh', models.DecimalField(decimal_places=6, max_digits=20, null=True, verbose_name='電力量 (kWh)')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=6, max_digits=14, null=True, verbose_name='単価 (円/kWh)')),
                ('quantity_gb', models.DecimalField(decimal_places=6, max_digits=20, null=True, verbose_name='転送量 (GB)')),
                ('price_jpy_per_gb', models.DecimalField(decimal_places=6, max_digits=14, null=True, verbose_name='料金 (円/GB)')),
                ('amount_exact_jpy', models.DecimalField(decimal_places=6, max_digits=22, verbose_name='金額（円、端数あり）')),
            ],
            options={
                'verbose_name': '精算明細',
                'verbose_name_plural': '精算明細',
                'indexes': [django.contrib.postgres.indexes.BrinIndex(autosummarize=True, fields=['run'], name='settlementline_run', pages_per_range=32)],
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('payer', models.F('payee')), _negated=True), ('amount_exact_jpy__gt', 0), ('amount_exact_jpy__lte', 1000000000000000), ('price_jpy_per_gb__gte', 0), ('price_jpy_per_gb__lte', 99999), ('price_jpy_per_kwh__gte', -99999), ('price_jpy_per_kwh__lte', 99999), ('quantity_gb__gte', 0), ('quantity_gb__lte', 1000000000), ('quantity_kwh__gte', -1000000000), ('quantity_kwh__lte', 1000000000), ('t__gte', 0), ('t__lte', 47)), name='settlementline_bounds')],
            },
        ),
        migrations.CreateModel(
            name='DisputedLine',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('dispute', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='disputed_lines', to='settlement.dispute', verbose_name='異議')),
                ('line', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputed', to='settlement.settlementline', verbose_name='明細')),
            ],
            options={
                'verbose_name': '係争中の明細',
                'verbose_name_plural': '係争中の明細',
                'constraints': [models.UniqueConstraint(fields=('dispute', 'line'), name='disputedline_once')],
            },
        ),
        migrations.CreateModel(
            name='SettlementItem',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('period', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='items', to='settlement.settlementperiod', verbose_name='精算期間')),
                ('close_number', models.PositiveIntegerField(verbose_name='締の回')),
                ('account', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='ledger.ledgeraccount', verbose_name='勘定')),
                ('item', models.CharField(max_length=20, verbose_name='項目')),
                ('total_exact_jpy', models.DecimalField(decimal_places=6, max_digits=22, verbose_name='合計（円、端数あり）')),
                ('amount_jpy', models.BigIntegerField(verbose_name='合計 (円)')),
                ('posted_before_jpy', models.BigIntegerField(verbose_name='記帳済 (円)')),
                ('transfer', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='settlement_item', to='ledger.transfer', verbose_name='仕訳')),
            ],
            options={
                'verbose_name': '精算項目',
                'verbose_name_plural': '精算項目',
                'indexes': [models.Index(fields=['account', 'id'], name='settlementitem_of')],
                'constraints': [models.UniqueConstraint(fields=('period', 'close_number', 'account', 'item'), name='settlementitem_once'), models.CheckConstraint(condition=models.Q(('amount_jpy__gte', -1000000000000000), ('amount_jpy__lte', 1000000000000000)), name='settlementitem_amount_jpy'), models.CheckConstraint(condition=models.Q(('posted_before_jpy__gte', -1000000000000000), ('posted_before_jpy__lte', 1000000000000000)), name='settlementitem_posted_before_jpy'), models.CheckConstraint(condition=models.Q(('total_exact_jpy__gte', -1000000000000000), ('total_exact_jpy__lte', 1000000000000000)), name='settlementitem_total_exact_jpy')],
            },
        ),
    ]
