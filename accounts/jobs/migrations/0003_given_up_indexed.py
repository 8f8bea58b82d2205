
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0002_guards"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="job",
            index=models.Index(
                condition=models.Q(("state", "QUARANTINED")),
                fields=["created_at"],
                name="job_given_up",
            ),
        ),
    ]
