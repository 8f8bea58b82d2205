import accounts.fields.keys
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('clearing', '0001_initial'),
        ('parties', '0001_initial'),
        ('registry', '0001_initial'),
        ('trading', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='DispatchInstruction',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('award', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='clearing.award', verbose_name='約定')),
                ('version', models.PositiveIntegerField(default=1, verbose_name='版')),
                ('bid', models.ForeignKey(help_text='指令の根拠となる入札（差替では代わりの入札）', on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='trading.bid', verbose_name='入札')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='parties.organisation', verbose_name='組織')),
                ('resource', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='instructions', to='registry.resource', verbose_name='リソース')),
                ('direction', models.CharField(choices=[('UP', '上げ'), ('DOWN', '下げ')], max_length=4, verbose_name='方向')),
                ('starts_at', models.DateTimeField(verbose_name='開始')),
                ('ends_at', models.DateTimeField(verbose_name='終了')),
                ('send_at', models.DateTimeField(verbose_name='送信予定')),
                ('respond_by_at', models.DateTimeField(verbose_name='応答期限')),
                ('state', models.CharField(choices=[('PLANNED', '予定'), ('SENT', '送信済'), ('ACKNOWLEDGED', '受諾'), ('ACTIVE', '実施中'), ('FINISHED', '完了'), ('OPTED_OUT', '辞退'), ('UNREACHED', '応答なし'), ('REPLACED', '差替'), ('CANCELLED', '取消'), ('PARTIAL', '一部'), ('EXTENDED', '延長')], default='PLANNED', max_length=12, verbose_name='状態')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='理由')),
                ('token', models.BigIntegerField(default=0, help_text='Grows with each move.', verbose_name='世代')),
                ('sent_at', models.DateTimeField(blank=True, null=True, verbose_name='送信')),
                ('acknowledged_at', models.DateTimeField(blank=True, null=True, verbose_name='受諾')),
                ('started_at', models.DateTimeField(blank=True, null=True, verbose_name='実施開始')),
                ('finished_at', models.DateTimeField(blank=True, help_text='実施を終えた、または効力を失った時刻', null=True, verbose_name='終結')),
                ('replaces', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='replaced_by', to='dispatch.dispatchinstruction', verbose_name='差替元')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
            ],
            options={
                'verbose_name': '指令',
                'verbose_name_plural': '指令',
                'ordering': ['starts_at', 'id'],
                'indexes': [models.Index(condition=models.Q(('state__in', ['PLANNED', 'SENT', 'ACKNOWLEDGED', 'ACTIVE'])), fields=['starts_at'], name='instruction_open'), models.Index(fields=['organisation', 'starts_at', 'id'], name='instruction_of'), models.Index(fields=['starts_at', 'id'], name='instruction_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('award', 'version'), name='instruction_version'), models.UniqueConstraint(fields=('replaces', 'bid', 'resource'), name='instruction_replaces_once'), models.CheckConstraint(condition=models.Q(('state__in', ['PLANNED', 'SENT', 'ACKNOWLEDGED', 'ACTIVE', 'FINISHED', 'OPTED_OUT', 'UNREACHED', 'REPLACED', 'CANCELLED', 'PARTIAL', 'EXTENDED'])), name='instruction_state'), models.CheckConstraint(condition=models.Q(('direction__in', ['UP', 'DOWN'])), name='instruction_direction'), models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='instruction_times'), models.CheckConstraint(condition=models.Q(models.Q(('replaces__isnull', True), ('version', 1)), models.Q(('replaces__isnull', False), ('version__gt', 1)), _connector='OR'), name='instruction_cause')],
            },
        ),
        migrations.CreateModel(
            name='InstructionInterval',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('instruction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='intervals', to='dispatch.dispatchinstruction', verbose_name='指令')),
                ('t', models.PositiveSmallIntegerField(help_text='0…47（コマ−1）', verbose_name='番号')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('quantity_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='指令量 (kW)')),
                ('replacement_price_jpy_per_kwh', models.DecimalField(blank=True, decimal_places=2, help_text='差替のみ：入札単価（pay-as-bid）。約定による指令は約定単価', max_digits=10, null=True, verbose_name='差替単価 (円/kWh)')),
            ],
            options={
                'verbose_name': '指令（30分）',
                'verbose_name_plural': '指令（30分）',
                'ordering': ['instruction', 't'],
                'constraints': [models.UniqueConstraint(fields=('instruction', 't'), name='instructioninterval_once'), models.CheckConstraint(condition=models.Q(('t__gte', 0), ('t__lte', 47)), name='instructioninterval_t'), models.CheckConstraint(condition=models.Q(('quantity_kw__gte', 0), ('quantity_kw__lte', 100000000)), name='instructioninterval_quantity_kw'), models.CheckConstraint(condition=models.Q(('replacement_price_jpy_per_kwh__gte', -99999), ('replacement_price_jpy_per_kwh__lte', 99999)), name='instructioninterval_replacement_price_jpy_per_kwh')],
            },
        ),
        migrations.CreateModel(
            name='ServedNeed',
            fields=[
                ('id', models.BigAutoField(primary_key=True, serialize=False)),
                ('award', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='needs_served', to='clearing.award', verbose_name='約定')),
                ('need', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.need', verbose_name='必要量')),
                ('organisation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='一般送配電事業者')),
            ],
            options={
                'verbose_name': '約定が応じた必要量',
                'verbose_name_plural': '約定が応じた必要量',
                'indexes': [models.Index(fields=['organisation', 'award'], name='servedneed_of')],
                'constraints': [models.UniqueConstraint(fields=('award', 'need'), name='servedneed_once')],
            },
        ),
        migrations.CreateModel(
            name='AvailabilityNotice',
            fields=[
                ('id', models.UUIDField(default=accounts.fields.keys.uuid7, editable=False, primary_key=True, serialize=False)),
                ('number', models.BigIntegerField(help_text="Of the resource's notices; 1 is the first.", verbose_name='順番')),
                ('resource', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='availability_notices', to='registry.resource', verbose_name='リソース')),
                ('organisation', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='parties.organisation', verbose_name='組織')),
                ('starts_at', models.DateTimeField(verbose_name='開始')),
                ('ends_at', models.DateTimeField(verbose_name='終了')),
                ('is_available', models.BooleanField(verbose_name='供出可能')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='理由')),
                ('noted_at', models.DateTimeField(help_text='市場時計', verbose_name='通知日時')),
            ],
            options={
                'verbose_name': '供出可否の通知',
                'verbose_name_plural': '供出可否の通知',
                'indexes': [models.Index(fields=['organisation', 'starts_at', 'id'], name='availabilitynotice_of'), models.Index(fields=['starts_at', 'id'], name='availabilitynotice_in_turn')],
                'constraints': [models.UniqueConstraint(fields=('resource', 'number'), name='availabilitynotice_number'), models.CheckConstraint(condition=models.Q(('starts_at__lt', models.F('ends_at'))), name='availabilitynotice_times'), models.CheckConstraint(condition=models.Q(('is_available', True), models.Q(('reason', ''), _negated=True), _connector='OR'), name='availabilitynotice_reason')],
            },
        ),
    ]
