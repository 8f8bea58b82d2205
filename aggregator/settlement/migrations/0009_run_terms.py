"""What a whole run was told of agreements is kept with it, and never changed."""

import django.core.serializers.json
import django.db.models.deletion
from django.db import migrations, models

CREATE = """
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON settlement_runterms
    FOR EACH ROW EXECUTE FUNCTION guard_append_only();
CREATE TRIGGER append_only_all BEFORE TRUNCATE ON settlement_runterms
    FOR EACH STATEMENT EXECUTE FUNCTION guard_append_only();
"""
DROP = """
DROP TRIGGER append_only_all ON settlement_runterms;
DROP TRIGGER append_only ON settlement_runterms;
"""


class Migration(migrations.Migration):
    dependencies = [
        ("settlement", "0008_file_format"),
    ]

    operations = [
        migrations.CreateModel(
            name="RunTerms",
            fields=[
                ("id", models.BigAutoField(primary_key=True, serialize=False)),
                (
                    "content",
                    models.JSONField(
                        encoder=django.core.serializers.json.DjangoJSONEncoder, verbose_name="内容"
                    ),
                ),
                (
                    "content_sha256",
                    models.CharField(max_length=64, verbose_name="内容のハッシュ"),
                ),
                (
                    "run",
                    models.OneToOneField(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="terms",
                        to="settlement.settlementrun",
                        verbose_name="精算",
                    ),
                ),
            ],
            options={
                "verbose_name": "精算の条件",
                "verbose_name_plural": "精算の条件",
            },
        ),
        migrations.RunSQL(CREATE, DROP),
    ]
