import django.db.models.functions.datetime
import uuid
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='IdempotentAnswer',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('caller', models.CharField(max_length=80, verbose_name='呼出元')),
                ('key', models.CharField(max_length=255, verbose_name='Idempotency-Key')),
                ('request', models.CharField(help_text='方法とパス', max_length=300, verbose_name='要求')),
                ('request_sha256', models.BinaryField(max_length=32, verbose_name='要求のSHA-256')),
                ('status', models.PositiveSmallIntegerField(verbose_name='状態コード')),
                ('content_type', models.CharField(max_length=100, verbose_name='形式')),
                ('headers', models.JSONField(default=dict, verbose_name='見出し')),
                ('body', models.BinaryField(verbose_name='本文')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), verbose_name='作成日時')),
            ],
            options={
                'verbose_name': '冪等応答',
                'verbose_name_plural': '冪等応答',
                'ordering': ['-created_at'],
                'indexes': [models.Index(fields=['created_at'], name='idempotentanswer_age')],
                'constraints': [models.CheckConstraint(condition=models.Q(('status__gte', 200), ('status__lte', 399)), name='idempotentanswer_status')],
            },
        ),
    ]
