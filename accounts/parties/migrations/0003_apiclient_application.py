"""Machines become django-oauth-toolkit's applications; nothing a running client has changes."""

import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('parties', '0002_apiclient_role'),
    ]
    # one of its migrations writes each application's client_secret: the column must be there
    run_before = [
        ('oauth2_provider', '0001_initial'),
    ]

    operations = [
        migrations.RenameField('apiclient', 'secret_hash', 'client_secret'),
    ]
