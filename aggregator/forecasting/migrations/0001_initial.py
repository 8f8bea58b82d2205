import django.core.validators
import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('registry', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='SpotPrice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('area', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.area', verbose_name='エリア')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('price_jpy_per_kwh', models.DecimalField(decimal_places=2, max_digits=8, validators=[django.core.validators.MinValueValidator(0)], verbose_name='エリアプライス (円/kWh)')),
                ('available_at', models.DateTimeField(help_text='Market time from which it was known.', verbose_name='公表')),
            ],
            options={
                'verbose_name': 'スポット価格',
                'verbose_name_plural': 'スポット価格',
                'constraints': [models.UniqueConstraint(fields=('area', 'start_at', 'available_at'), name='spotprice_revision'), models.CheckConstraint(condition=models.Q(('price_jpy_per_kwh__gte', 0), ('price_jpy_per_kwh__lte', 99999)), name='spotprice_price_jpy_per_kwh')],
            },
        ),
        migrations.CreateModel(
            name='AreaSupplyDemand',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('area', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.area', verbose_name='エリア')),
                ('start_at', models.DateTimeField(verbose_name='開始')),
                ('available_at', models.DateTimeField(help_text='Market time from which it was known.', verbose_name='公表')),
                ('demand_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='エリア需要 (kW)')),
                ('nuclear_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='原子力 (kW)')),
                ('lng_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='火力・LNG (kW)')),
                ('coal_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='火力・石炭 (kW)')),
                ('oil_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='火力・石油 (kW)')),
                ('thermal_other_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='火力・その他 (kW)')),
                ('thermal_curtailed_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='火力出力制御量 (kW)')),
                ('hydro_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='水力 (kW)')),
                ('geothermal_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='地熱 (kW)')),
                ('biomass_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='バイオマス (kW)')),
                ('biomass_curtailed_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='バイオマス出力制御量 (kW)')),
                ('solar_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='太陽光発電実績 (kW)')),
                ('solar_curtailed_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='太陽光出力制御量 (kW)')),
                ('wind_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='風力発電実績 (kW)')),
                ('wind_curtailed_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='風力出力制御量 (kW)')),
                ('pumped_hydro_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='揚水 (kW)')),
                ('battery_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='蓄電池 (kW)')),
                ('interconnector_kw', models.DecimalField(decimal_places=1, help_text='Positive: import.', max_digits=12, verbose_name='連系線 (kW)')),
                ('other_kw', models.DecimalField(decimal_places=1, max_digits=12, null=True, verbose_name='その他 (kW)')),
                ('total_kw', models.DecimalField(decimal_places=1, max_digits=12, verbose_name='合計 (kW)')),
            ],
            options={
                'verbose_name': 'エリア需給実績',
                'verbose_name_plural': 'エリア需給実績',
                'constraints': [models.UniqueConstraint(fields=('area', 'start_at', 'available_at'), name='areasupplydemand_revision'), models.CheckConstraint(condition=models.Q(('nuclear_kw__gte', -100000000), ('nuclear_kw__lte', 100000000)), name='asd_nuclear_kw'), models.CheckConstraint(condition=models.Q(('lng_kw__gte', -100000000), ('lng_kw__lte', 100000000)), name='asd_lng_kw'), models.CheckConstraint(condition=models.Q(('coal_kw__gte', -100000000), ('coal_kw__lte', 100000000)), name='asd_coal_kw'), models.CheckConstraint(condition=models.Q(('oil_kw__gte', -100000000), ('oil_kw__lte', 100000000)), name='asd_oil_kw'), models.CheckConstraint(condition=models.Q(('thermal_other_kw__gte', -100000000), ('thermal_other_kw__lte', 100000000)), name='asd_thermal_other_kw'), models.CheckConstraint(condition=models.Q(('hydro_kw__gte', -100000000), ('hydro_kw__lte', 100000000)), name='asd_hydro_kw'), models.CheckConstraint(condition=models.Q(('geothermal_kw__gte', -100000000), ('geothermal_kw__lte', 100000000)), name='asd_geothermal_kw'), models.CheckConstraint(condition=models.Q(('biomass_kw__gte', -100000000), ('biomass_kw__lte', 100000000)), name='asd_biomass_kw'), models.CheckConstraint(condition=models.Q(('solar_kw__gte', -100000000), ('solar_kw__lte', 100000000)), name='asd_solar_kw'), models.CheckConstraint(condition=models.Q(('wind_kw__gte', -100000000), ('wind_kw__lte', 100000000)), name='asd_wind_kw'), models.CheckConstraint(condition=models.Q(('pumped_hydro_kw__gte', -100000000), ('pumped_hydro_kw__lte', 100000000)), name='asd_pumped_hydro_kw'), models.CheckConstraint(condition=models.Q(('battery_kw__gte', -100000000), ('battery_kw__lte', 100000000)), name='asd_battery_kw'), models.CheckConstraint(condition=models.Q(('interconnector_kw__gte', -100000000), ('interconnector_kw__lte', 100000000)), name='asd_interconnector_kw'), models.CheckConstraint(condition=models.Q(('other_kw__gte', -100000000), ('other_kw__lte', 100000000)), name='asd_other_kw'), models.CheckConstraint(condition=models.Q(('demand_kw__gte', 0), ('demand_kw__lte', 100000000)), name='asd_demand_kw'), models.CheckConstraint(condition=models.Q(('thermal_curtailed_kw__gte', 0), ('thermal_curtailed_kw__lte', 100000000)), name='asd_thermal_curtailed_kw'), models.CheckConstraint(condition=models.Q(('biomass_curtailed_kw__gte', 0), ('biomass_curtailed_kw__lte', 100000000)), name='asd_biomass_curtailed_kw'), models.CheckConstraint(condition=models.Q(('solar_curtailed_kw__gte', 0), ('solar_curtailed_kw__lte', 100000000)), name='asd_solar_curtailed_kw'), models.CheckConstraint(condition=models.Q(('wind_curtailed_kw__gte', 0), ('wind_curtailed_kw__lte', 100000000)), name='asd_wind_curtailed_kw'), models.CheckConstraint(condition=models.Q(('total_kw__gte', 0), ('total_kw__lte', 100000000)), name='asd_total_kw')],
            },
        ),
    ]
