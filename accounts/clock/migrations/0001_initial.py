from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='MarketClock',
            fields=[
                ('id', models.SmallIntegerField(default=1, primary_key=True, serialize=False)),
                ('anchor_real_at', models.DateTimeField(help_text='Database clock when the shift was set.')),
                ('anchor_market_at', models.DateTimeField(help_text='Market time at that moment.')),
                ('speed_ratio', models.DecimalField(decimal_places=4, help_text='Market seconds per real second.', max_digits=12)),
            ],
            options={
                'verbose_name': '市場時計のずれ',
                'verbose_name_plural': '市場時計のずれ',
                'constraints': [models.CheckConstraint(condition=models.Q(('id', 1)), name='clock_single_row'), models.CheckConstraint(condition=models.Q(('speed_ratio__gte', 0), ('speed_ratio__lte', 10000000)), name='clock_speed_bounds')],
            },
        ),
    ]
