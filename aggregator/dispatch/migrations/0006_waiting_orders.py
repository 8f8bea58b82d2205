
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("clearing", "0002_guards"),
        ("dispatch", "0005_site_reports_in_turn"),
        ("parties", "0002_identity_first"),
        ("registry", "0002_guards"),
        ("trading", "0004_need_by_order"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="dispatchinstruction",
            index=models.Index(
                condition=models.Q(("state", "SENT")),
                fields=["organisation"],
                name="instruction_waiting",
            ),
        ),
    ]
