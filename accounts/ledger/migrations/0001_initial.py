import django.db.models.deletion
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('parties', '0002_identity_first'),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerAccount',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ledger_accounts', to='parties.organisation', verbose_name='組織')),
                ('code', models.SlugField(max_length=40, verbose_name='コード')),
                ('name', models.CharField(max_length=80, verbose_name='名称')),
                ('kind', models.CharField(choices=[('MEMBER', '参加者勘定'), ('CLEARING', '清算勘定'), ('REVENUE', '収益'), ('ROUNDING', '端数調整'), ('IMBALANCE', 'インバランス'), ('TAX', '消費税'), ('BANK', '預金')], max_length=10, verbose_name='種別')),
            ],
            options={
                'verbose_name': '勘定科目',
                'verbose_name_plural': '勘定科目',
                'ordering': ['organisation__code', 'code'],
                'constraints': [models.UniqueConstraint(fields=('organisation', 'code'), name='ledgeraccount_code'), models.CheckConstraint(condition=models.Q(('kind__in', ['MEMBER', 'CLEARING', 'REVENUE', 'ROUNDING', 'IMBALANCE', 'TAX', 'BANK'])), name='ledgeraccount_kind')],
            },
        ),
        migrations.CreateModel(
            name='Transfer',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('debit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='debits', to='ledger.ledgeraccount', verbose_name='借方')),
                ('credit', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='credits', to='ledger.ledgeraccount', verbose_name='貸方')),
                ('amount_jpy', models.BigIntegerField(verbose_name='金額 (円)')),
                ('state', models.CharField(choices=[('PENDING', '仮'), ('POSTED', '記帳'), ('VOIDED', '取消')], max_length=8, verbose_name='状態')),
                ('code', models.CharField(max_length=40, verbose_name='摘要コード')),
                ('period', models.CharField(blank=True, max_length=40, verbose_name='精算期間')),
                ('posted_at', models.DateTimeField(help_text='市場時計', verbose_name='記帳日時')),
                ('cause_kind', models.CharField(max_length=40, verbose_name='原因の種類')),
                ('cause_id', models.CharField(max_length=64, verbose_name='原因')),
                ('corrects', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='corrected_by', to='ledger.transfer', verbose_name='訂正対象')),
                ('settles', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='settled_by', to='ledger.transfer', verbose_name='確定対象')),
                ('detail', models.JSONField(blank=True, default=dict, verbose_name='内容')),
            ],
            options={
                'verbose_name': '仕訳',
                'verbose_name_plural': '仕訳',
                'ordering': ['-posted_at', 'id'],
                'indexes': [models.Index(fields=['debit', 'posted_at'], name='transfer_debit'), models.Index(fields=['credit', 'posted_at'], name='transfer_credit'), models.Index(fields=['cause_kind', 'cause_id'], name='transfer_cause'), models.Index(fields=['period', 'debit'], name='transfer_period_debit'), models.Index(fields=['period', 'credit'], name='transfer_period_credit')],
                'constraints': [models.CheckConstraint(condition=models.Q(('amount_jpy__gte', 1), ('amount_jpy__lte', 1000000000000000)), name='transfer_amount_jpy'), models.CheckConstraint(condition=models.Q(('debit', models.F('credit')), _negated=True), name='transfer_two_accounts'), models.CheckConstraint(condition=models.Q(('state__in', ['PENDING', 'POSTED', 'VOIDED'])), name='transfer_state'), models.CheckConstraint(condition=models.Q(models.Q(('state', 'VOIDED'), _negated=True), ('settles__isnull', False), _connector='OR'), name='transfer_void_settles')],
            },
        ),
    ]
