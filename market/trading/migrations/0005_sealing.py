"""Bids are sealed: contents in boxes, leaves with salt, roots; no offer is stored readable."""

import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


# A migration has no key to seal to. What it finds readable must be gone or past its gate.
REFUSE = """
DO $$ BEGIN
    IF EXISTS (SELECT 1 FROM trading_standingbid WHERE state = 'ACTIVE') THEN
        RAISE EXCEPTION 'withdraw the standing bids first: they are stored readable';
    END IF;
    IF EXISTS (
        SELECT 1 FROM trading_bid JOIN trading_auction ON trading_auction.id = auction_id
        WHERE trading_auction.state IN ('SCHEDULED', 'OPEN')
    ) THEN
        RAISE EXCEPTION 'wait for the gate: bids of an open auction are stored readable';
    END IF;
END $$;
TRUNCATE trading_standingbidcontent;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('parties', '0002_apiclient_role'),
        ('trading', '0004_guards_more'),
    ]

    operations = [
        migrations.RunSQL(REFUSE, migrations.RunSQL.noop),
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
        migrations.RenameField(
            model_name='bid',
            old_name='content_sha256',
            new_name='leaf_sha256',
        ),
        migrations.RemoveField(
            model_name='standingbid',
            name='content_sha256',
        ),
        migrations.RemoveField(
            model_name='standingbidcontent',
            name='content',
        ),
        migrations.AddField(
            model_name='bid',
            name='content_mac',
            field=models.BinaryField(default=b'', max_length=32, verbose_name='内容の認証符号'),
        ),
        migrations.AddField(
            model_name='bid',
            name='exclusive_group',
            field=models.CharField(blank=True, max_length=40, verbose_name='排他グループ'),
        ),
        migrations.AddField(
            model_name='bid',
            name='leaf_index',
            field=models.PositiveIntegerField(blank=True, null=True, verbose_name='葉の番号'),
        ),
        migrations.AlterField(
            model_name='bid',
            name='leaf_sha256',
            field=models.CharField(help_text='塩を加えた内容のハッシュ。受付票に載る', max_length=64, verbose_name='葉のハッシュ'),
        ),
        migrations.AddField(
            model_name='bid',
            name='parent_client_bid_id',
            field=models.CharField(blank=True, max_length=64, verbose_name='親の入札番号'),
        ),
        migrations.AddField(
            model_name='bidcontent',
            name='salt',
            field=models.BinaryField(default=b'', max_length=16, verbose_name='塩'),
        ),
        migrations.AddField(
            model_name='standingbid',
            name='content_mac',
            field=models.BinaryField(default=b'', max_length=32, verbose_name='内容の認証符号'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='standingbidcontent',
            name='ciphertext',
            field=models.BinaryField(default=b'', verbose_name='封印された内容'),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='standingbidcontent',
            name='owner_sealed_key',
            field=models.BinaryField(blank=True, null=True, verbose_name='入札者の鍵で封印した鍵'),
        ),
        migrations.AddField(
            model_name='standingbidcontent',
            name='sealed_key',
            field=models.BinaryField(default=b'', verbose_name='板の鍵で封印した鍵'),
            preserve_default=False,
        ),
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
        migrations.AddField(
            model_name='standingbidcontent',
            name='book_key',
            field=models.ForeignKey(db_index=False, default='', on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.bookkey', verbose_name='板の鍵'),
            preserve_default=False,
        ),
        migrations.CreateModel(
            name='OwnerKey',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('public_key', models.BinaryField(max_length=32, verbose_name='公開鍵')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='登録日時')),
                ('retired_at', models.DateTimeField(blank=True, null=True, verbose_name='更新日時')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='owner_keys', to='parties.organisation', verbose_name='組織')),
            ],
            options={
                'verbose_name': '入札者の鍵',
                'verbose_name_plural': '入札者の鍵',
                'ordering': ['created_at'],
            },
        ),
        migrations.AddField(
            model_name='standingbidcontent',
            name='owner_key',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.ownerkey', verbose_name='入札者の鍵'),
        ),
        migrations.CreateModel(
            name='SealedBasket',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('sealed_key', models.BinaryField(verbose_name='板の鍵で封印した鍵')),
                ('owner_sealed_key', models.BinaryField(blank=True, null=True, verbose_name='入札者の鍵で封印した鍵')),
                ('ciphertext', models.BinaryField(verbose_name='封印された内容')),
                ('leaf_count', models.PositiveIntegerField(verbose_name='件数')),
                ('merkle_root', models.CharField(max_length=64, verbose_name='マークル根')),
                ('received_at', models.DateTimeField(verbose_name='受付日時')),
                ('receipt_signature', models.BinaryField(verbose_name='受付票の署名')),
                ('auction', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baskets', to='trading.auction', verbose_name='オークション')),
                ('book_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.bookkey', verbose_name='板の鍵')),
                ('organisation', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='baskets', to='parties.organisation', verbose_name='組織')),
                ('owner_key', models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.ownerkey', verbose_name='入札者の鍵')),
                ('receipt_key', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='trading.receiptkey', verbose_name='受付票の鍵')),
            ],
            options={
                'verbose_name': '封印された入札',
                'verbose_name_plural': '封印された入札',
            },
        ),
        migrations.AddField(
            model_name='bid',
            name='basket',
            field=models.ForeignKey(blank=True, db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='bids', to='trading.sealedbasket', verbose_name='封印'),
        ),
        migrations.AddConstraint(
            model_name='bid',
            constraint=models.UniqueConstraint(fields=('basket', 'leaf_index'), name='bid_leaf'),
        ),
        migrations.AddConstraint(
            model_name='bid',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('basket__isnull', True), ('leaf_index__isnull', True)), models.Q(('basket__isnull', False), ('leaf_index__gte', 0), ('leaf_index__lt', 5000)), _connector='OR'), name='bid_sealed'),
        ),
        migrations.AddConstraint(
            model_name='ownerkey',
            constraint=models.UniqueConstraint(condition=models.Q(('retired_at__isnull', True)), fields=('organisation',), name='ownerkey_one_current'),
        ),
        migrations.AddConstraint(
            model_name='sealedbasket',
            constraint=models.CheckConstraint(condition=models.Q(('leaf_count__gte', 1), ('leaf_count__lte', 5000)), name='sealedbasket_leaf_count'),
        ),
        migrations.AddConstraint(
            model_name='sealedbasket',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('owner_key__isnull', True), ('owner_sealed_key__isnull', True)), models.Q(('owner_key__isnull', False), ('owner_sealed_key__isnull', False)), _connector='OR'), name='sealedbasket_owner'),
        ),
    ]
