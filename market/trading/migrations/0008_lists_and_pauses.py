"""Indexes of the lists, each in its order of reading; standing bids may rest."""

import django.db.models.deletion
from django.db import migrations, models

TRANSITIONS = """
DROP TRIGGER transitions ON trading_standingbid;
CREATE TRIGGER transitions BEFORE UPDATE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions(
        'ACTIVE>PAUSED', 'PAUSED>ACTIVE', 'ACTIVE>WITHDRAWN', 'PAUSED>WITHDRAWN');
"""
TRANSITIONS_BEFORE = """
DROP TRIGGER transitions ON trading_standingbid;
CREATE TRIGGER transitions BEFORE UPDATE ON trading_standingbid
    FOR EACH ROW EXECUTE FUNCTION guard_transitions('ACTIVE>WITHDRAWN');
"""


class Migration(migrations.Migration):
    dependencies = [
        ("trading", "0007_need_proposals"),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name="standingbid",
            name="standingbid_one_active",
        ),
        migrations.RemoveConstraint(
            model_name="standingbid",
            name="standingbid_state",
        ),
        migrations.AlterField(
            model_name="bid",
            name="auction",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bids",
                to="trading.auction",
                verbose_name="オークション",
            ),
        ),
        migrations.AlterField(
            model_name="bid",
            name="organisation",
            field=models.ForeignKey(
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="bids",
                to="parties.organisation",
                verbose_name="組織",
            ),
        ),
        migrations.AlterField(
            model_name="standingbid",
            name="state",
            field=models.CharField(
                choices=[("ACTIVE", "有効"), ("PAUSED", "休止"), ("WITHDRAWN", "取下げ")],
                default="ACTIVE",
                max_length=10,
                verbose_name="状態",
            ),
        ),
        migrations.AddIndex(
            model_name="auction",
            index=models.Index(fields=["delivery_on", "code"], name="auction_day"),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(fields=["organisation", "received_at", "id"], name="bid_own"),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(
                fields=["organisation", "auction", "received_at", "id"], name="bid_own_auction"
            ),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(
                fields=["organisation", "resource", "received_at", "id"], name="bid_own_resource"
            ),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(
                fields=["organisation", "form", "received_at", "id"], name="bid_own_form"
            ),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(
                condition=models.Q(("state__in", ["SUPERSEDED", "WITHDRAWN"])),
                fields=["organisation", "received_at", "id"],
                name="bid_own_over",
            ),
        ),
        migrations.AddIndex(
            model_name="bid",
            index=models.Index(fields=["auction", "received_at", "id"], name="bid_auction"),
        ),
        migrations.AddIndex(
            model_name="need",
            index=models.Index(fields=["available_at", "id"], name="need_latest"),
        ),
        migrations.AddIndex(
            model_name="need",
            index=models.Index(fields=["auction", "available_at", "id"], name="need_auction"),
        ),
        migrations.AddIndex(
            model_name="standingbid",
            index=models.Index(fields=["organisation", "created_at", "id"], name="standingbid_own"),
        ),
        migrations.AddConstraint(
            model_name="standingbid",
            constraint=models.UniqueConstraint(
                condition=models.Q(("state__in", ["ACTIVE", "PAUSED"])),
                fields=("organisation", "code"),
                name="standingbid_one_alive",
            ),
        ),
        migrations.AddConstraint(
            model_name="standingbid",
            constraint=models.CheckConstraint(
                condition=models.Q(("state__in", ["ACTIVE", "PAUSED", "WITHDRAWN"])),
                name="standingbid_state",
            ),
        ),
        migrations.RunSQL(TRANSITIONS, TRANSITIONS_BEFORE),
    ]
