"""Indexes of the lists, each in its order of reading."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("clearing", "0005_guards_more")]

    operations = [
        migrations.AddIndex(
            model_name="award",
            index=models.Index(fields=["organisation", "id"], name="award_own"),
        ),
        migrations.AddIndex(
            model_name="award",
            index=models.Index(fields=["organisation", "auction", "id"], name="award_own_auction"),
        ),
        migrations.AddIndex(
            model_name="award",
            index=models.Index(fields=["auction", "id"], name="award_auction"),
        ),
        migrations.AddIndex(
            model_name="computeplacement",
            index=models.Index(fields=["run", "id"], name="placement_run"),
        ),
    ]
