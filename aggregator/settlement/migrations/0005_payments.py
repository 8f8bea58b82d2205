"""Payments: what was sent cannot change; states move forward only."""

import accounts.fields.keys
import django.db.models.deletion
import django.db.models.expressions
from django.db import migrations, models


CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentfile
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentfile
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentpart
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentpart
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_paymentresult
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_paymentresult
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_incomingpayment
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_incomingpayment
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'activated_at', 'retired_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_bankaccount
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PROPOSED>ACTIVE', 'PROPOSED>RETIRED', 'ACTIVE>RETIRED');
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'released_by', 'released_at', 'approval_id');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_paymentbatch
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'DRAFT>RELEASED', 'DRAFT>REJECTED', 'RELEASED>ACKNOWLEDGED', 'RELEASED>PARTLY_FAILED',
        'RELEASED>SETTLED', 'ACKNOWLEDGED>PARTLY_FAILED', 'ACKNOWLEDGED>SETTLED',
        'SETTLED>PARTLY_FAILED');
CREATE TRIGGER only_columns BEFORE UPDATE OR DELETE ON settlement_paymentrow
    FOR EACH ROW EXECUTE FUNCTION guard_only_columns(
        'state', 'reason', 'result_at');
CREATE TRIGGER transitions BEFORE UPDATE ON settlement_paymentrow
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'PENDING>PAID', 'PENDING>FAILED', 'PAID>RETURNED');
"""
DROP = """
DROP TRIGGER append_only_all ON settlement_paymentfile;
DROP TRIGGER append_only ON settlement_paymentfile;
DROP TRIGGER append_only_all ON settlement_paymentpart;
DROP TRIGGER append_only ON settlement_paymentpart;
DROP TRIGGER append_only_all ON settlement_paymentresult;
DROP TRIGGER append_only ON settlement_paymentresult;
DROP TRIGGER append_only_all ON settlement_incomingpayment;
DROP TRIGGER append_only ON settlement_incomingpayment;
DROP TRIGGER transitions ON settlement_bankaccount;
DROP TRIGGER only_columns ON settlement_bankaccount;
DROP TRIGGER transitions ON settlement_paymentbatch;
DROP TRIGGER only_columns ON settlement_paymentbatch;
DROP TRIGGER transitions ON settlement_paymentrow;
DROP TRIGGER only_columns ON settlement_paymentrow;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('approvals', '0002_guards'),
        ('parties', '0003_registration_check_digit'),
        ('settlement', '0004_documents'),
    ]

    operations = [
        migrations.CreateModel(
            name='BankAccount',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('bank_code', models.CharField(max_length=4, verbose_name='銀行番号')),
                ('bank_name', models.CharField(max_length=15, verbose_name='銀行名（カナ）')),
                ('branch_code', models.CharField(max_length=3, verbose_name='支店番号')),
                ('branch_name', models.CharField(max_length=15, verbose_name='支店名（カナ）')),
                ('kind', models.CharField(choices=[('1', '普通'), ('2', '当座'), ('4', '貯蓄'), ('9', 'その他')], max_length=1, verbose_name='預金種目')),
                ('number', models.CharField(max_length=7, verbose_name='口座番号')),
                ('holder', models.CharField(max_length=40, verbose_name='口座名義（カナ）')),
                ('payer_code', models.CharField(blank=True, help_text='振込元の口座のみ', max_length=10, verbose_name='委託者コード')),
                ('state', models.CharField(choices=[('PROPOSED', '申請中'), ('ACTIVE', '有効'), ('RETIRED', '廃止')], default='PROPOSED', max_length=8, verbose_name='状態')),
                ('proposed_by', models.CharField(max_length=60, verbose_name='申請者')),
                ('proposed_at', models.DateTimeField(verbose_name='申請日時')),
                ('activated_at', models.DateTimeField(blank=True, null=True, verbose_name='有効日時')),
                ('retired_at', models.DateTimeField(blank=True, null=True, verbose_name='廃止日時')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='bank_accounts', to='parties.organisation', verbose_name='組織')),
            ],
            options={
                'verbose_name': '銀行口座',
                'verbose_name_plural': '銀行口座',
                'ordering': ['-proposed_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='IncomingPayment',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('amount_jpy', models.BigIntegerField(verbose_name='金額 (円)')),
                ('received_on', models.DateField(verbose_name='入金日')),
                ('reference', models.CharField(help_text='入出金明細の番号', max_length=60, unique=True, verbose_name='照会番号')),
                ('recorded_by', models.CharField(max_length=60, verbose_name='記録者')),
                ('recorded_at', models.DateTimeField(verbose_name='記録日時')),
                ('document', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='incoming_payments', to='settlement.document', verbose_name='精算書')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='incoming_payments', to='parties.organisation', verbose_name='支払人')),
            ],
            options={
                'verbose_name': '入金',
                'verbose_name_plural': '入金',
                'ordering': ['-received_on', '-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentBatch',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('pay_on', models.DateField(verbose_name='振込指定日')),
                ('state', models.CharField(choices=[('DRAFT', '作成済'), ('RELEASED', '送付済'), ('ACKNOWLEDGED', '一部結果あり'), ('PARTLY_FAILED', '一部不能'), ('SETTLED', '完了'), ('REJECTED', '取止め')], default='DRAFT', max_length=13, verbose_name='状態')),
                ('rows_count', models.PositiveIntegerField(verbose_name='件数')),
                ('total_jpy', models.BigIntegerField(verbose_name='合計 (円)')),
                ('files_sha256', models.CharField(help_text='全ファイルのハッシュのハッシュ', max_length=64, verbose_name='ファイルのハッシュ')),
                ('created_by', models.CharField(max_length=60, verbose_name='作成者')),
                ('created_at', models.DateTimeField(verbose_name='作成日時')),
                ('released_by', models.CharField(blank=True, max_length=60, verbose_name='送付者')),
                ('released_at', models.DateTimeField(blank=True, null=True, verbose_name='送付日時')),
                ('approval', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='approvals.approval', verbose_name='承認')),
                ('payer', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='settlement.bankaccount', verbose_name='振込元口座')),
            ],
            options={
                'verbose_name': '総合振込',
                'verbose_name_plural': '総合振込',
                'ordering': ['-created_at', '-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentFile',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('format', models.CharField(choices=[('ZENGIN', '全銀総合振込'), ('PAIN001', 'ISO 20022 pain.001')], max_length=8, verbose_name='形式')),
                ('position', models.PositiveIntegerField(verbose_name='番号')),
                ('content', models.BinaryField(verbose_name='内容')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='files', to='settlement.paymentbatch', verbose_name='総合振込')),
            ],
            options={
                'verbose_name': '振込ファイル',
                'verbose_name_plural': '振込ファイル',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentResult',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('content', models.BinaryField(verbose_name='内容')),
                ('sha256', models.CharField(max_length=64, verbose_name='ハッシュ')),
                ('imported_by', models.CharField(max_length=60, verbose_name='取込者')),
                ('imported_at', models.DateTimeField(verbose_name='取込日時')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='results', to='settlement.paymentbatch', verbose_name='総合振込')),
            ],
            options={
                'verbose_name': '振込結果',
                'verbose_name_plural': '振込結果',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentRow',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('reference', models.PositiveBigIntegerField(help_text='一括内の番号', verbose_name='顧客コード')),
                ('amount_jpy', models.BigIntegerField(verbose_name='金額 (円)')),
                ('state', models.CharField(choices=[('PENDING', '結果待ち'), ('PAID', '振込済'), ('FAILED', '不能'), ('RETURNED', '組戻し')], default='PENDING', max_length=8, verbose_name='状態')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='理由')),
                ('result_at', models.DateTimeField(blank=True, null=True, verbose_name='結果日時')),
                ('bank_account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='settlement.bankaccount', verbose_name='振込先口座')),
                ('batch', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='rows', to='settlement.paymentbatch', verbose_name='総合振込')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payments', to='parties.organisation', verbose_name='受取人')),
            ],
            options={
                'verbose_name': '振込',
                'verbose_name_plural': '振込',
                'ordering': ['-id'],
            },
        ),
        migrations.CreateModel(
            name='PaymentPart',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('net_jpy', models.BigIntegerField(verbose_name='差引額 (円)')),
                ('held_jpy', models.BigIntegerField(verbose_name='保留額 (円)')),
                ('moved_jpy', models.BigIntegerField(help_text='支払済み（入金は負）', verbose_name='既払額 (円)')),
                ('amount_jpy', models.BigIntegerField(help_text='負は控除', verbose_name='金額 (円)')),
                ('document', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='payment_parts', to='settlement.document', verbose_name='精算書')),
                ('row', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='parts', to='settlement.paymentrow', verbose_name='振込')),
            ],
            options={
                'verbose_name': '振込の内訳',
                'verbose_name_plural': '振込の内訳',
                'ordering': ['-id'],
            },
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.UniqueConstraint(condition=models.Q(('state', 'ACTIVE')), fields=('organisation',), name='bankaccount_one_active'),
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.CheckConstraint(condition=models.Q(('bank_code__regex', '^[0-9]{4}$'), ('branch_code__regex', '^[0-9]{3}$'), ('kind__in', ['1', '2', '4', '9']), ('number__regex', '^[0-9]{7}$'), ('payer_code__regex', '^[0-9]{0,10}$')), name='bankaccount_codes'),
        ),
        migrations.AddConstraint(
            model_name='bankaccount',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('activated_at__isnull', True), ('state', 'PROPOSED')), models.Q(('activated_at__isnull', False), ('retired_at__isnull', True), ('state', 'ACTIVE')), models.Q(('retired_at__isnull', False), ('state', 'RETIRED')), _connector='OR'), name='bankaccount_state'),
        ),
        migrations.AddConstraint(
            model_name='incomingpayment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_jpy__gte', 1), ('amount_jpy__lte', 1000000000000000)), name='incomingpayment_amount_jpy'),
        ),
        migrations.AddConstraint(
            model_name='paymentbatch',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['DRAFT', 'RELEASED', 'ACKNOWLEDGED', 'PARTLY_FAILED', 'SETTLED', 'REJECTED'])), name='paymentbatch_state'),
        ),
        migrations.AddConstraint(
            model_name='paymentbatch',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('released_at__isnull', True), ('state__in', ['DRAFT', 'REJECTED'])), models.Q(models.Q(('state__in', ['DRAFT', 'REJECTED']), _negated=True), ('approval__isnull', False), ('released_at__isnull', False)), _connector='OR'), name='paymentbatch_release'),
        ),
        migrations.AddConstraint(
            model_name='paymentbatch',
            constraint=models.CheckConstraint(condition=models.Q(('total_jpy__gte', 1), ('total_jpy__lte', 1000000000000000)), name='paymentbatch_total_jpy'),
        ),
        migrations.AddConstraint(
            model_name='paymentbatch',
            constraint=models.CheckConstraint(condition=models.Q(('rows_count__gte', 1), ('rows_count__lte', 1000000000)), name='paymentbatch_rows_count'),
        ),
        migrations.AddConstraint(
            model_name='paymentfile',
            constraint=models.UniqueConstraint(fields=('batch', 'format', 'position'), name='paymentfile_once'),
        ),
        migrations.AddConstraint(
            model_name='paymentfile',
            constraint=models.CheckConstraint(condition=models.Q(('format__in', ['ZENGIN', 'PAIN001'])), name='paymentfile_format'),
        ),
        migrations.AddConstraint(
            model_name='paymentresult',
            constraint=models.UniqueConstraint(fields=('batch', 'sha256'), name='paymentresult_once'),
        ),
        migrations.AddConstraint(
            model_name='paymentrow',
            constraint=models.UniqueConstraint(fields=('batch', 'reference'), name='paymentrow_in_batch'),
        ),
        migrations.AddConstraint(
            model_name='paymentrow',
            constraint=models.UniqueConstraint(fields=('batch', 'organisation'), name='paymentrow_payee'),
        ),
        migrations.AddConstraint(
            model_name='paymentrow',
            constraint=models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'PAID', 'FAILED', 'RETURNED'])), name='paymentrow_state'),
        ),
        migrations.AddConstraint(
            model_name='paymentrow',
            constraint=models.CheckConstraint(condition=models.Q(('amount_jpy__gte', 1), ('amount_jpy__lte', 1000000000000000)), name='paymentrow_amount_jpy'),
        ),
        migrations.AddConstraint(
            model_name='paymentrow',
            constraint=models.CheckConstraint(condition=models.Q(('reference__gte', 1), ('reference__lte', 1000000000)), name='paymentrow_reference'),
        ),
        migrations.AddConstraint(
            model_name='paymentpart',
            constraint=models.UniqueConstraint(fields=('row', 'document'), name='paymentpart_once'),
        ),
        migrations.AddConstraint(
            model_name='paymentpart',
            constraint=models.CheckConstraint(condition=models.Q(('amount_jpy', django.db.models.expressions.CombinedExpression(django.db.models.expressions.CombinedExpression(models.F('net_jpy'), '-', models.F('held_jpy')), '-', models.F('moved_jpy')))), name='paymentpart_sum'),
        ),
        migrations.AddConstraint(
            model_name='paymentpart',
            constraint=models.CheckConstraint(condition=models.Q(('net_jpy__gte', -1000000000000000), ('net_jpy__lte', 1000000000000000)), name='paymentpart_net_jpy'),
        ),
        migrations.AddConstraint(
            model_name='paymentpart',
            constraint=models.CheckConstraint(condition=models.Q(('held_jpy__gte', -1000000000000000), ('held_jpy__lte', 1000000000000000)), name='paymentpart_held_jpy'),
        ),
        migrations.AddConstraint(
            model_name='paymentpart',
            constraint=models.CheckConstraint(condition=models.Q(('moved_jpy__gte', -1000000000000000), ('moved_jpy__lte', 1000000000000000)), name='paymentpart_moved_jpy'),
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
